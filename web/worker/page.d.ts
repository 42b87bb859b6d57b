/** What a connection of a page tells. */
export interface Handlers {
  /** There is a connection, at first and whenever a host had to be started again. What is sent waits for the host. */
  open(port: Port): void;
  /** A frame has arrived. */
  frame(frame: ArrayBuffer): void;
  /** What the host is doing has changed. */
  status(status: Status): void;
  /** The connection has ended, and is made again after a while. */
  lost(reason: string): void;
}

/** Sends frames. An ArrayBuffer is transferred and must not be used afterwards. */
export interface Port {
  send(frame: ArrayBuffer | Uint8Array): void;
}

export type Status =
  | { type: "starting" }
  /** A page of another build, which has to be reloaded or closed, has the database. */
  | { type: "waiting"; build: string }
  /** Not persistent: another worker has the database, this one works in memory. */
  | { type: "ready"; persistent: boolean }
  /** A page of another build waits for the database: this page should be reloaded. */
  | { type: "reload"; build: string };

/** Hands one end of a MessageChannel to a host, which it starts if need be; lost is called when it cannot. */
export type Start = (port: MessagePort, lost: (reason: string) => void) => void;

/** Connects to the host that start starts, until the connection is closed. */
export function connect(start: Start, handlers: Handlers): { close(): void };

/** Starts the worker that make makes. */
export function inWorker(make: () => SharedWorker | Worker): Start;
