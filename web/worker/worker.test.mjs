// Pages, workers and a Go program in a real browser.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { open, serve } from "../test/browser.mjs";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const root = here("../..");

const page = `<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.test.js"></script>`;

let folder, files, browser;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "ankurah-host-"));
  const wasm = join(folder, "host.wasm");
  const env = { ...process.env, GOOS: "js", GOARCH: "wasm" };
  execFileSync("go", ["build", "-o", wasm, "./webhost/internal/testhost"], { cwd: root, env, stdio: "inherit" });
  const goroot = execFileSync("go", ["env", "GOROOT"]).toString().trim();
  files = await serve({
    "/": page,
    "/page.js": here("page.js"),
    "/worker.js": here("worker.js"),
    "/page.test.js": here("fixture/page.js"),
    "/build.js": here("fixture/worker.js"),
    "/wasm_exec.js": join(goroot, "lib/wasm/wasm_exec.js"),
    "/host.wasm": wasm,
  });
  browser = await open();
});

after(async () => {
  await browser?.close();
  await files?.close();
  if (folder) rmSync(folder, { recursive: true });
});

/** Opens a tab that is connected to a host. Each test has a database of its own. */
async function tab(name, { kind = "shared", build = "a" } = {}) {
  const tab = await browser.context.newPage();
  tab.on("console", (message) => /^(panic|exit code|goroutine)/.test(message.text()) || console.error(message.text()));
  await tab.goto(files.url);
  await tab.waitForFunction(() => globalThis.start);
  await tab.evaluate(([...args]) => globalThis.start(...args), [name, kind, build]);
  return Object.assign(tab, {
    ask: (text) => tab.evaluate((text) => globalThis.ask(text), text),
    event: (type, n = 0) => tab.evaluate(([type, n]) => globalThis.event(type, n), [type, n]),
  });
}

for (const kind of ["shared", "dedicated", "page"]) {
  test(`frames arrive whole and in order: ${kind}`, async () => {
    const a = await tab(`frames-${kind}`, { kind });
    assert.deepEqual(await a.evaluate(() => globalThis.echo([0, 1, 300, 70_000, 8 << 20, ...Array(500).fill(20)])), true);
    assert.equal((await a.event("ready")).persistent, true);
    assert.equal(await a.ask("count"), "1");
    await a.close();
  });
}

test("tabs share one program, which outlives the first", async () => {
  const a = await tab("shared");
  assert.equal(await a.ask("count"), "1");
  const b = await tab("shared");
  assert.equal(await b.ask("count"), "2");
  assert.equal(await b.ask("pages"), "2");
  await a.close();
  let left;
  for (let k = 0; k < 50 && left !== "1"; k++) left = await b.ask("pages");
  assert.equal(left, "1");
  assert.equal(await b.ask("count"), "3");
  await b.close();
  const c = await tab("shared");
  assert.equal(await c.ask("count"), "4");
  await c.close();
});

test("pages notice a panic within 100 ms, and start the program again", async () => {
  const a = await tab("panic");
  const b = await tab("panic");
  assert.equal(await a.ask("count"), "1");
  await b.event("ready");
  const took = await a.evaluate(() => globalThis.timeToLoss("panic"));
  assert.ok(took < 100, `${took} ms`);
  assert.match((await a.event("lost")).reason, /^panic: as asked/);
  assert.match((await b.event("lost")).reason, /^panic: as asked/);
  assert.equal(await a.ask("count"), "2");
  assert.equal(await b.ask("count"), "3");
  assert.equal((await b.event("ready", 1)).persistent, true);
  await Promise.all([a.close(), b.close()]);
});

test("pages notice that a worker was killed, and start another", async () => {
  const a = await tab("killed");
  assert.equal(await a.ask("count"), "1");
  const took = await a.evaluate(() => globalThis.timeToLoss("kill"));
  assert.ok(took < 100, `${took} ms`);
  assert.equal(await a.ask("count"), "2");
  await a.close();
});

test("a connection that the program ends is made again", async () => {
  const a = await tab("over");
  await a.evaluate(() => globalThis.timeToLoss("over"));
  assert.equal((await a.event("lost")).reason, "frame too large");
  assert.equal(await a.ask("still there"), "still there");
  await a.close();
});

test("two builds never have one database", async () => {
  const a = await tab("builds", { build: "a" });
  assert.equal(await a.ask("count"), "1");
  const b = await tab("builds", { build: "b" });
  assert.equal((await b.event("waiting")).build, "a");
  assert.equal((await a.event("reload")).build, "b");
  assert.equal(await a.ask("count"), "2");
  assert.equal(await b.evaluate(() => globalThis.seen("ready")), 0);
  await a.close();
  assert.equal((await b.event("ready")).persistent, true);
  assert.equal(await b.ask("count"), "3");
  await b.close();
});

test("dedicated workers: one has the database, the others work in memory", async () => {
  const a = await tab("dedicated", { kind: "dedicated" });
  assert.equal(await a.ask("count"), "1");
  const b = await tab("dedicated", { kind: "dedicated" });
  assert.equal((await b.event("ready")).persistent, false);
  assert.equal(await b.ask("count"), "1");
  assert.equal(await a.ask("count"), "2");
  await a.close();
  await b.close();
});
