// The page's side: connects a page to its worker, and again when that dies.
// README.md says what is sent over the port.

const shortest = 100; // ms between two attempts
const longest = 5000;
const steady = 5000; // ms after which the end of a worker is no sign of more

/** Connects to the host that start starts, until the connection is closed. */
export function connect(start, handlers) {
  const lock = `ankurah:page:${crypto.randomUUID()}`;
  const closed = new AbortController();
  let port; // undefined while there is no host
  let wait = shortest;
  const gone = new Promise((release) => closed.signal.addEventListener("abort", release));
  // The worker learns by the lock that the page is gone, so it has to be held before.
  const held = new Promise((granted) => navigator.locks?.request(lock, () => (granted(), gone)));

  const open = () => {
    const channel = new MessageChannel();
    const since = Date.now();
    const attempt = new AbortController();
    const mine = channel.port1;
    const lost = (reason) => {
      if (port !== mine) return;
      port = undefined;
      attempt.abort();
      mine.close();
      wait = Date.now() - since > steady ? shortest : Math.min(2 * wait, longest);
      handlers.lost(reason);
      if (!closed.signal.aborted) setTimeout(() => closed.signal.aborted || open(), wait);
    };
    const take = (frame) => {
      try {
        handlers.frame(frame);
      } catch (error) {
        mine.postMessage({ type: "bye" });
        lost(`the worker sent what cannot be read: ${error}`);
      }
    };
    port = mine;
    mine.onmessage = ({ data }) => {
      if (port !== mine) return;
      if (data instanceof ArrayBuffer) take(data);
      else if (data.type === "welcome") watch(data.lock, attempt.signal, lost);
      else if (data.type === "failed" || data.type === "over") lost(data.reason);
      else handlers.status(data);
    };
    start(channel.port2, lost);
    held.then(() => mine.postMessage({ type: "hello", lock }));
    handlers.open({
      send: (frame) => mine.postMessage(frame, frame instanceof ArrayBuffer ? [frame] : []),
    });
  };
  open();
  return {
    close() {
      if (closed.signal.aborted) return;
      closed.abort();
      port?.postMessage({ type: "bye" });
      port?.close();
      port = undefined;
    },
  };
}

/** Calls lost when the worker that holds a lock is no more. */
function watch(lock, signal, lost) {
  if (!lock) return;
  navigator.locks.request(lock, { mode: "shared", signal }, () => lost("the worker has ended")).catch(() => {});
}

/**
 * Starts the worker that makes returns: a SharedWorker, or a dedicated Worker
 * where there are no SharedWorkers.
 */
export function inWorker(make) {
  return (port, lost) => {
    const worker = make();
    worker.onerror = (event) => lost(event.message || "the worker could not be started");
    const to = "port" in worker ? worker.port : worker;
    to.postMessage({ type: "port" }, [port]);
  };
}
