// The worker's script. Its name says what it is to run: it is the same script
// for every build of the node, and another worker.
import "virtual:ankurah/wasm_exec.js";
import { runWorker } from "@ankurah/worker/worker";

runWorker(JSON.parse(self.name));
