/** What a host tells a client. */
export interface Handlers {
  /** There is a connection; it is for frames until lost or the next open. */
  open(port: { send(frame: ArrayBuffer): void }): void;
  frame(data: ArrayBuffer): void;
  /** There is none any more. The host makes another one by itself. */
  lost(reason: string): void;
  /** Something about the host that is no frame. */
  status?(message: unknown): void;
}

/** What connects a client with a node. It connects again by itself until it is closed. */
export type Host = (handlers: Handlers) => { close(): void };

/** A MessagePort, or what is like one. */
export interface PortLike {
  postMessage(message: ArrayBuffer, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent) => void) | null;
  close?(): void;
}

/** A node at the other end of a port: in this page, in a Worker or a SharedWorker. One frame is one message. */
export function onPort(port: PortLike): Host {
  return (handlers) => {
    port.onmessage = ({ data }) => handlers.frame(data);
    handlers.open({ send: (frame) => port.postMessage(frame, [frame]) });
    return {
      close() {
        port.onmessage = null;
        port.close?.();
      },
    };
  };
}

export interface RemoteOptions {
  /** The class of WebSocket; default: the browser's. */
  WebSocket?: new (url: string, protocol: string) => WebSocket;
  /** The shortest and the longest time between two attempts in milliseconds; default: 100 and 10,000. */
  backoff?: readonly [number, number];
}

const subprotocol = "ankurah.1";
const steady = 5000; // ms after which the end of a connection is no sign of more
const silence = 75_000; // ms without a frame; the server asks every 30 s

/** A node behind a WebSocket: port.NewServer behind wsserver. */
export function remote(url: string, { WebSocket: Socket = globalThis.WebSocket, backoff = [100, 10_000] }: RemoteOptions = {}): Host {
  return (handlers) => {
    let ws: WebSocket | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let wait = backoff[0];
    let closed = false;

    const connect = () => {
      clearTimeout(timer);
      const mine = (ws = new Socket(url, subprotocol));
      let heard = Date.now();
      const since = heard;
      const watch = setInterval(() => Date.now() - heard > silence && over("the server is silent"), 5000);
      const over = (reason: string) => {
        clearInterval(watch);
        if (ws !== mine) return;
        ws = undefined;
        mine.close();
        handlers.lost(reason);
        if (closed) return;
        wait = Date.now() - since > steady ? backoff[0] : Math.min(2 * wait, backoff[1]);
        timer = setTimeout(connect, wait * (0.5 + Math.random()));
      };
      mine.binaryType = "arraybuffer";
      mine.onopen = () => ws === mine && handlers.open({ send: (frame) => mine.readyState === 1 && mine.send(frame) });
      mine.onmessage = ({ data }) => {
        heard = Date.now();
        if (ws !== mine) return;
        try {
          handlers.frame(data as ArrayBuffer);
        } catch (e) {
          over(`the server sent what cannot be read: ${e}`);
        }
      };
      mine.onclose = (e) => over(e.reason || "the connection was closed");
      mine.onerror = () => {}; // a close follows
    };
    const online = () => !ws && !closed && connect();
    globalThis.addEventListener?.("online", online);
    connect();
    return {
      close() {
        closed = true;
        clearTimeout(timer);
        globalThis.removeEventListener?.("online", online);
        const last = ws;
        ws = undefined;
        last?.close();
      },
    };
  };
}
