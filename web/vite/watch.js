// Watching what Go programs are made of.
import { watch } from "node:fs";
import { foldersOf } from "./go.js";

const quiet = 100; // ms without a change after which files count as saved
const ours = (name) => /\.go$|^go\.(mod|sum|work)$/.test(name) && !name.endsWith("_test.go");

/** Calls changed when files of a package or of what it imports were saved, until it is closed. */
export class Watcher {
  #watched = new Map(); // folder -> watcher
  #timer;
  #closed = false;

  constructor(what, changed) {
    this.what = what;
    this.changed = changed;
  }

  /** Looks up which folders these are. */
  async look() {
    const folders = await foldersOf(this.what).catch(() => undefined);
    if (!folders || this.#closed) return;
    for (const [folder, w] of this.#watched) if (!folders.has(folder)) w.close(), this.#watched.delete(folder);
    for (const folder of folders) if (!this.#watched.has(folder)) this.#add(folder);
  }

  #add(folder) {
    const w = watch(folder, (_, name) => name && ours(name) && this.#touch());
    w.on("error", () => (w.close(), this.#watched.delete(folder))); // the folder was removed
    this.#watched.set(folder, w);
  }

  #touch() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.changed(), quiet);
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const w of this.#watched.values()) w.close();
    this.#watched.clear();
  }
}
