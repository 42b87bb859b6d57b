// What vite does while somebody develops.
import { readFileSync } from "node:fs";
import { relative } from "node:path";
import { Watcher } from "./watch.js";

/** An error as Vite's overlay shows it. */
export function shown(error, root) {
  const { loc, message } = error;
  const out = { name: error.name, message, stack: "", plugin: "ankurah" };
  if (!loc) return out;
  return { ...out, id: loc.file, loc: { ...loc, file: relative(root, loc.file) }, frame: frame(loc) };
}

/** The lines around a place. */
function frame({ file, line, column }) {
  let lines;
  try {
    lines = readFileSync(file, "utf8").split("\n");
  } catch {
    return "";
  }
  const from = Math.max(0, line - 3);
  return lines
    .slice(from, line + 2)
    .flatMap((text, k) => {
      const n = from + k + 1;
      const row = `${String(n).padStart(5)} | ${text.replaceAll("\t", "  ")}`;
      const tabs = text.slice(0, column).split("\t").length - 1;
      return n === line ? [row, `${" ".repeat(8 + column + tabs)}^`] : [row];
    })
    .join("\n");
}

/**
 * Keeps a build up to date. Pages hear of a new one and load again: their node's worker is another one then, which
 * waits for the database until the last page of the old one is gone.
 */
export class Development {
  #again = false;
  #building;
  #hash;

  constructor({ vite, config, what, build }) {
    Object.assign(this, { vite, config, build });
    this.watcher = new Watcher(what, () => this.update());
    vite.httpServer?.once("close", () => this.watcher.close());
    // Vite tells the pages that are there; this is for one that comes.
    vite.ws.on("connection", (socket) => {
      this.get().catch((error) => socket.send(JSON.stringify({ type: "error", err: shown(error, config.root) })));
    });
    vite.middlewares.use((request, response, next) => this.#serve(request, response).catch(next).then((done) => done || next()));
  }

  /** The bytes and the hash of the build as it is. */
  get() {
    return (this.#building ??= this.#start());
  }

  #start() {
    const building = this.build();
    void building.then(() => {}, () => {}).then(() => this.watcher.look());
    return building;
  }

  /** Builds again, and once more if files change meanwhile. */
  async update() {
    this.#again = true;
    if (this.updating) return;
    this.updating = true;
    while (this.#again) {
      this.#again = false;
      await this.#once();
    }
    this.updating = false;
  }

  async #once() {
    const { vite, config } = this;
    const before = await this.#building?.catch(() => undefined);
    this.#building = this.#start();
    try {
      const { hash } = await this.#building;
      if (hash === before?.hash) return;
      config.logger.info(`the node was built again (${hash})`, { timestamp: true });
      const module = vite.moduleGraph.getModuleById("\0virtual:ankurah");
      if (module) vite.moduleGraph.invalidateModule(module);
      vite.ws.send({ type: "full-reload" });
    } catch (error) {
      config.logger.error(error.message, { timestamp: true });
      vite.ws.send({ type: "error", err: shown(error, config.root) });
    }
  }

  async #serve(request, response) {
    const prefix = `${this.config.base}@ankurah/`;
    if (!request.url?.startsWith(prefix)) return false;
    const { bytes, hash } = await this.get();
    if (request.url !== `${prefix}${hash}.wasm`) {
      response.writeHead(404).end("another build was made meanwhile: load the page again");
      return true;
    }
    response.writeHead(200, { "Content-Type": "application/wasm", "Cache-Control": "no-cache" });
    response.end(bytes);
    return true;
  }
}
