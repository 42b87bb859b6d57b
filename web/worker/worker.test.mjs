// Pages, workers and a Go program in a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { open } from "../test/browser.mjs";
import { openTab, serveHost } from "./fixture/tab.mjs";

const limit = { timeout: 180_000 };
let files, browser;

before(async () => {
  files = await serveHost("./webhost/internal/testhost");
  browser = await open();
});

after(async () => {
  await browser?.close();
  await files?.close();
});

/** Opens a tab. Each test has a database of its own. */
const tab = (name, options) => openTab(browser, files.url, name, options);

for (const kind of ["shared", "dedicated", "page"]) {
  test(`frames arrive whole and in order: ${kind}`, limit, async () => {
    const a = await tab(`frames-${kind}`, { kind });
    assert.deepEqual(await a.evaluate(() => globalThis.echo([0, 1, 300, 70_000, 8 << 20, ...Array(500).fill(20)])), true);
    assert.equal((await a.event("ready")).persistent, true);
    assert.equal(await a.ask("count"), "1");
    await a.close();
  });
}

test("tabs share one program, which outlives the first", limit, async () => {
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

test("pages notice a panic within 100 ms, and start the program again", limit, async () => {
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

test("pages notice that a worker was killed, and start another", limit, async () => {
  const a = await tab("killed");
  assert.equal(await a.ask("count"), "1");
  const took = await a.evaluate(() => globalThis.timeToLoss("kill"));
  assert.ok(took < 100, `${took} ms`);
  assert.equal(await a.ask("count"), "2");
  await a.close();
});

test("a connection that the program ends is made again", limit, async () => {
  const a = await tab("over");
  await a.evaluate(() => globalThis.timeToLoss("over"));
  assert.equal((await a.event("lost")).reason, "frame too large");
  assert.equal(await a.ask("still there"), "still there");
  await a.close();
});

test("a page whose connection was ended in a dedicated worker has its database again", limit, async () => {
  const a = await tab("over-dedicated", { kind: "dedicated" });
  assert.equal(await a.ask("count"), "1");
  await a.evaluate(() => globalThis.timeToLoss("over"));
  assert.equal((await a.event("lost")).reason, "frame too large");
  assert.equal((await a.event("ready", 1)).persistent, true);
  assert.equal(await a.ask("count"), "2");
  await a.close();
});

test("a connection on which a page cannot read something is made again", limit, async () => {
  const a = await tab("unreadable");
  const b = await tab("unreadable");
  assert.equal(await b.ask("pages"), "2");
  await a.evaluate(() => globalThis.timeToLoss("unreadable"));
  assert.match((await a.event("lost")).reason, /cannot be read: RangeError: truncated/);
  assert.equal(await a.ask("count"), "1");
  assert.equal(await b.ask("pages"), "2"); // the first connection was ended
  await Promise.all([a.close(), b.close()]);
});

test("two builds never have one database", limit, async () => {
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

test("dedicated workers: one has the database, the others work in memory", limit, async () => {
  const a = await tab("dedicated", { kind: "dedicated" });
  assert.equal(await a.ask("count"), "1");
  const b = await tab("dedicated", { kind: "dedicated" });
  assert.equal((await b.event("ready")).persistent, false);
  assert.equal(await b.ask("count"), "1");
  assert.equal(await a.ask("count"), "2");
  await a.close();
  await b.close();
});
