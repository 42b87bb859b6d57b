import type { Plugin } from "vite";

export interface Options {
  /** The Go package of the node, seen from Vite's root. Default: "./node". */
  node?: string;
  /** Further flags of go build, such as ["-tags=demo"]. */
  flags?: readonly string[];
  /** The flag -ldflags. Default: "-s -w", which leaves out what debuggers read. */
  ldflags?: string;
  /** Environment variables of go build, such as GOFLAGS. */
  env?: Readonly<Record<string, string>>;
  /**
   * Whether vite build writes a .br beside each file; a number is its quality. Default: true, which is 11. The
   * environment variable ANKURAH_BROTLI goes before it: 5 is done in a moment, 0 is none.
   */
  brotli?: boolean | number;
  /**
   * Whether vite build writes a service worker, sw.js, with which the page opens when its server cannot be reached. Pages
   * with a node register it. Default: true.
   */
  offline?: boolean;
  /** A Go program that vite runs in dev, and starts again when its files change: the app's server. */
  server?: { package: string; args?: readonly string[] };
}

/** Builds the app's node as WebAssembly, and gives pages the module virtual:ankurah. */
export function ankurah(options?: Options): Plugin;
