// Runs a test binary of GOOS=js in a real browser:
//
//   GOOS=js GOARCH=wasm go test -exec "node $PWD/web/test/exec.mjs" ./storage/indexeddb
//
// With TEST_SERVER=./folder the program there, seen from the package's folder,
// runs meanwhile; the first line that it prints is the test's TEST_SERVER_URL.
//
// A test finds testQuota(bytes) and testClear() among the globals: they limit
// the origin's storage, and remove its databases as "clear site data" does.

import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { open, serve } from "./browser.mjs";

const page = `<!doctype html><link rel="icon" href="data:,"><script src="/wasm_exec.js"></script>`;

/** Starts the program that a test talks to; url is the line it prints. */
async function startServer(folder) {
  const child = spawn("go", ["run", folder], { ...hostGo(), stdio: ["pipe", "pipe", "inherit"] });
  const url = await new Promise((resolve, reject) => {
    createInterface(child.stdout).once("line", resolve);
    child.once("exit", (code) => reject(new Error(`${folder} ended with ${code}`)));
  });
  return { url, stop: () => child.stdin.end() };
}

/** The options with which programs for this machine are built. */
function hostGo() {
  const { GOOS, GOARCH, ...env } = process.env;
  return { env };
}

/** Runs in the page: the test binary from its first to its last line. */
async function runBinary({ args, env }) {
  const decoder = new TextDecoder();
  globalThis.fs.writeSync = (fd, bytes) => {
    globalThis.testOutput(decoder.decode(bytes.slice(), { stream: true }));
    return bytes.length;
  };
  const go = new globalThis.Go();
  go.argv = args;
  go.env = env;
  let code = 0;
  go.exit = (c) => (code = c);
  const { instance } = await WebAssembly.instantiateStreaming(fetch("/test.wasm"), go.importObject);
  await go.run(instance);
  return code;
}

async function main([binary, ...args]) {
  const goroot = execFileSync("go", ["env", "GOROOT"]).toString().trim();
  const env = { TMPDIR: "/tmp" };
  const server = process.env.TEST_SERVER && (await startServer(process.env.TEST_SERVER));
  if (server) env.TEST_SERVER_URL = server.url;
  const files = await serve({ "/": page, "/wasm_exec.js": join(goroot, "lib/wasm/wasm_exec.js"), "/test.wasm": binary });
  const browser = await open();
  try {
    const tab = await browser.context.newPage();
    tab.on("console", (message) => console.error(message.text())); // what the browser has to say
    const devtools = await browser.context.newCDPSession(tab);
    const origin = new URL(files.url).origin;
    await tab.exposeFunction("testQuota", (quotaSize) => devtools.send("Storage.overrideQuotaForOrigin", { origin, quotaSize }));
    await tab.exposeFunction("testClear", () => devtools.send("Storage.clearDataForOrigin", { origin, storageTypes: "indexeddb" }));
    await tab.exposeFunction("testOutput", (text) => process.stdout.write(text));
    await tab.goto(files.url);
    const ended = new Promise((_, reject) => tab.on("crash", () => reject(new Error("the page crashed"))));
    return await Promise.race([tab.evaluate(runBinary, { args: [binary, ...args], env }), ended]);
  } finally {
    await browser.close();
    await files.close();
    server?.stop();
  }
}

process.exitCode = await main(process.argv.slice(2));
