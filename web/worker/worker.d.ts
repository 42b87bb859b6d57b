/** How a Go program is run as the host of pages. */
export interface HostOptions {
  /** The name of the database. Programs with the same name share it. */
  name: string;
  /** What this program and its worker were built from, such as the hash of the wasm. */
  build: string;
  /** The address of the program. */
  wasm: string | URL;
  /** The class of the wasm_exec.js that came with the compiler; default: the global one. */
  Go?: new () => any;
  /** Environment variables of the program. */
  env?: Record<string, string>;
}

/** Runs the program of a SharedWorker or a dedicated Worker. */
export function runWorker(options: HostOptions): void;

/** Makes a host of pages in whatever context this is; end is called when the program has ended. */
export function createHost(options: HostOptions & { end?: () => void }): { add(port: MessagePort): void };
