// What pages get from virtual:ankurah, which adds what was built.
import { connect, inWorker } from "@ankurah/worker/page";

// What a service worker keeps of the page it loads a second time, and a browser compiles: not while the page starts.
const settled = 2000; // ms after the page has loaded

let kept = false;

/** Has a service worker keep the page, so that it opens without its server. */
function keepOffline(sw) {
  if (kept || !navigator.serviceWorker) return;
  kept = true;
  const register = () => navigator.serviceWorker.register(sw).catch((error) => console.warn("the page will not open offline:", error));
  const later = () => setTimeout(register, settled);
  if (document.readyState === "complete") later();
  else addEventListener("load", later, { once: true });
}

/** Returns hosts of clients: a node in a worker. sw is the address of the service worker, if there is one. */
export function nodeOf({ script, wasm, build, sw }) {
  return ({ name, env = {}, worker = "shared" }) => {
    const shared = worker === "shared" && "SharedWorker" in globalThis;
    const options = { type: "module", name: JSON.stringify({ name, build, wasm: new URL(wasm, location.href).href, env }) };
    const make = () => (shared ? new SharedWorker(script, options) : new Worker(script, options));
    if (sw) keepOffline(sw);
    return (handlers) => connect(inWorker(make), handlers);
  };
}
