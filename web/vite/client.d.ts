declare module "virtual:ankurah" {
  import type { Host } from "@ankurah/client";

  export interface NodeOptions {
    /** The name of the database. Pages of an origin that say the same share one node. */
    name: string;
    /** Environment variables of the node's program. */
    env?: Readonly<Record<string, string>>;
    /** Default: a SharedWorker, for all tabs; a Worker of this page where there are none. */
    worker?: "shared" | "dedicated";
  }

  /** The app's node in a worker, as the host of a Client. */
  export function node(options: NodeOptions): Host;

  /** What the node was built from: a hash. */
  export const build: string;
}
