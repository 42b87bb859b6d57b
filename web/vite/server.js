// The app's server, run while somebody develops.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { go } from "./go.js";
import { Watcher } from "./watch.js";

const patience = 5000; // ms that a server may take to end

/** Runs a Go program, and starts it again when its files change. */
export class Server {
  #child;
  #turn = Promise.resolve();
  #closed = false;

  constructor({ vite, config, pkg, args = [], env }) {
    Object.assign(this, { config, pkg, args, env, file: join(config.cacheDir, "ankurah/server") });
    this.watcher = new Watcher({ cwd: config.root, pkg, flags: [], env, target: {} }, () => this.restart());
    vite.httpServer?.once("close", () => void this.close());
    process.once("exit", () => this.#child?.kill());
    this.restart();
  }

  restart() {
    return (this.#turn = this.#turn.then(() => this.#start()));
  }

  async #start() {
    const { config, pkg, args, env } = this;
    try {
      await go(["build", "-o", this.file, pkg], { cwd: config.root, env });
    } catch (error) {
      config.logger.error(error.message, { timestamp: true });
      return;
    } finally {
      await this.watcher.look();
    }
    await this.#stop();
    if (this.#closed) return;
    const child = spawn(this.file, args, { cwd: config.root, env: { ...process.env, ...env }, stdio: ["ignore", "inherit", "inherit"] });
    this.#child = child;
    child.once("error", (error) => config.logger.error(`${pkg} could not be started: ${error.message}`, { timestamp: true }));
    child.once("exit", (code, signal) => {
      if (this.#child === child) config.logger.error(`${pkg} has ended with ${code ?? signal}; it is started again when a file is saved`, { timestamp: true });
    });
  }

  async #stop() {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((over) => child.once("exit", over));
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), patience);
    await ended;
    clearTimeout(timer);
  }

  async close() {
    this.#closed = true;
    this.watcher.close();
    await this.#turn;
    await this.#stop();
  }
}
