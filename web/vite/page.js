// What pages get from virtual:ankurah, which adds what was built.
import { connect, inWorker } from "@ankurah/worker/page";

/** Returns hosts of clients: a node in a worker. sw is the address of the service worker, if there is one. */
export function nodeOf({ script, wasm, build, sw }) {
  return ({ name, env = {}, worker = "shared" }) => {
    const shared = worker === "shared" && "SharedWorker" in globalThis;
    const options = { type: "module", name: JSON.stringify({ name, build, wasm: new URL(wasm, location.href).href, env }) };
    const make = () => (shared ? new SharedWorker(script, options) : new Worker(script, options));
    if (sw) navigator.serviceWorker?.register(sw).catch((error) => console.warn("the page will not open offline:", error));
    return (handlers) => connect(inWorker(make), handlers);
  };
}
