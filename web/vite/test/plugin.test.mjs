// The plugin in a real vite build and a real dev server, with pages in Chromium.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { brotliDecompressSync } from "node:zlib";
import { build, createServer } from "vite";
import { open, serve } from "../../test/browser.mjs";
import { buildWasm } from "../go.js";
import { ankurah } from "../index.js";
import { makeApp } from "./app.mjs";

const limit = { timeout: 120_000 };
let browser;

before(async () => (browser = await open()));
after(() => browser?.close());

/** What the plugin is configured with in an app; Vite's cache is the app's own. */
const config = (root, options) => ({ root, configFile: false, logLevel: "silent", cacheDir: join(root, ".vite"), plugins: [ankurah(options)] });

const shows = (tab, text) => tab.waitForFunction((text) => document.getElementById("answer")?.textContent === text, text);

test("a build: hashed names, the compiler's wasm_exec.js, compressed files, a page that works", limit, async (t) => {
  const app = makeApp();
  t.after(app.remove);
  await build(config(app.root, { brotli: 5 }));
  const dist = join(app.root, "dist");
  const names = readdirSync(join(dist, "assets"));
  const [wasm] = names.filter((n) => /^node-[\w-]{8}\.wasm$/.test(n));
  const [worker] = names.filter((n) => /^worker-[\w-]{8}\.js$/.test(n));
  assert.ok(wasm && worker, names.join());

  for (const name of [wasm, worker]) {
    const file = join(dist, "assets", name);
    assert.deepEqual(brotliDecompressSync(readFileSync(`${file}.br`)), readFileSync(file));
  }
  // A text that stands in this Go's wasm_exec.js and is kept when it is minified.
  const goroot = execFileSync("go", ["env", "GOROOT"]).toString().trim();
  const [, imported] = /"(runtime\.wasmExit)"/.exec(readFileSync(join(goroot, "lib/wasm/wasm_exec.js"), "utf8"));
  assert.ok(readFileSync(join(dist, "assets", worker), "utf8").includes(imported));

  const files = { "/": readFileSync(join(dist, "index.html"), "utf8") };
  for (const name of names) files[`/assets/${name}`] = join(dist, "assets", name);
  const server = await serve(files);
  t.after(server.close);
  const tab = await browser.context.newPage();
  await tab.goto(server.url);
  await shows(tab, "one");
  await tab.close();
});

test("a build without compression, with flags, and one that fails", limit, async (t) => {
  const app = makeApp();
  t.after(app.remove);
  app.write("answer");
  await assert.rejects(build(config(app.root, { brotli: false })), (error) => {
    assert.match(error.message, /node\/main\.go:22:\d+: undefined: answer/);
    return true;
  });
  app.write('"one"');
  await build(config(app.root, { brotli: false, flags: ["-tags=demo"], env: { GOFLAGS: "-mod=readonly" } }));
  const names = readdirSync(join(app.root, "dist/assets"));
  assert.ok(names.some((n) => n.endsWith(".wasm")) && !names.some((n) => n.endsWith(".br")), names.join());
  await assert.rejects(build(config(app.root, { node: "./nowhere" })), /nowhere/);
});

test("what packing could not do is told", async (t) => {
  const app = makeApp();
  t.after(app.remove);
  // A go command of a release that packing does not know.
  writeFileSync(join(app.root, "go"), `#!/bin/sh
case "$1" in
run) while [ "$1" != -o ]; do shift; done; echo wasm >"$2"
  echo "go: downloading something" >&2; echo "ankurah-wasm: the tables of go9 are not known" >&2 ;;
esac
`, { mode: 0o755 });
  const { PATH } = process.env;
  t.after(() => (process.env.PATH = PATH));
  process.env.PATH = `${app.root}:${PATH}`;
  const told = [];
  const options = { cwd: app.root, pkg: "./node", flags: [], ldflags: "", env: {}, file: join(app.root, "node.wasm"), warn: (text) => told.push(text) };
  const { bytes } = await buildWasm({ ...options, small: true });
  assert.equal(bytes.toString(), "wasm\n");
  assert.deepEqual(told, ["ankurah-wasm: the tables of go9 are not known"]);
});

test("in dev: pages follow the Go files, and show what is wrong with them", limit, async (t) => {
  const app = makeApp();
  t.after(app.remove);
  const server = await createServer({ ...config(app.root), server: { host: "127.0.0.1", port: 0 } });
  t.after(() => server.close());
  await server.listen();
  const url = server.resolvedUrls.local[0];
  const tabs = [await browser.context.newPage(), await browser.context.newPage()];
  for (const tab of tabs) {
    await tab.goto(url);
    await shows(tab, "one");
  }
  // A new build is another worker: both tabs get it, though the old one has the database until they are gone.
  app.write('"two"');
  for (const tab of tabs) await shows(tab, "two");

  app.write('"two" + 2');
  const [tab] = tabs;
  const overlay = tab.locator("vite-error-overlay");
  await overlay.waitFor();
  const said = await overlay.locator(".message-body").textContent();
  assert.match(said, /node\/main\.go:22:\d+: .*mismatched types/);
  assert.match(await overlay.locator(".frame").textContent(), /22 \|\s+if err := c\.Send/);
  // A page that is opened now is told too.
  const late = await browser.context.newPage();
  await late.goto(url);
  await late.locator("vite-error-overlay").waitFor();
  await late.close();

  app.write('"three"');
  for (const tab of tabs) await shows(tab, "three");
  assert.equal(await overlay.count(), 0);
  assert.equal(await tabs[0].title(), await tabs[1].title());
  for (const tab of tabs) await tab.close();
});
