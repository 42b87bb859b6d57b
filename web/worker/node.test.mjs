// Nodes in browsers and a server: whatever happens to either, nothing is lost.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { open } from "../test/browser.mjs";
import { openTab, root, serveHost } from "./fixture/tab.mjs";

const limit = { timeout: 180_000 };
let folder, files, server;
const browsers = [];

/** Starts the server, where it was before if it was. */
async function startServer(address = "127.0.0.1:0") {
  const child = spawn(join(folder, "server"), [join(folder, "store"), address], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  address = await new Promise((line) => createInterface(child.stdout).once("line", line));
  const stop = () => (child.stdin.end(), ended);
  return { address, stop, kill: () => (child.kill("SIGKILL"), ended) };
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "ankurah-node-"));
  execFileSync("go", ["build", "-o", join(folder, "server"), "./webhost/internal/nodeserver"], { cwd: root, stdio: "inherit" });
  files = await serveHost("./webhost/internal/nodehost");
  server = await startServer();
  browsers.push(await open(), await open());
});

after(async () => {
  await Promise.all(browsers.map((browser) => browser.close()));
  await server?.stop();
  await files?.close();
  rmSync(folder, { recursive: true });
});

const tab = (browser, kind) => openTab(browsers[browser], files.url, "notes", { kind, server: `ws://${server.address}/` });

/** Asks until the answer is what it should be. */
async function until(tab, request, want) {
  let got;
  for (const end = Date.now() + 60_000; Date.now() < end; await new Promise((soon) => setTimeout(soon, 10))) {
    got = await tab.ask(request);
    if (got === want) return;
  }
  assert.equal(got, want);
}

test("two tabs and two browsers, a server that is away, and a worker that is killed", limit, async () => {
  const a = await tab(0);
  assert.equal(await a.ask("add 1"), "");
  assert.equal(await a.ask("list"), "1"); // at once
  const b = await tab(0);
  const c = await tab(1);
  for (const other of [b, c]) await until(other, "list", "1");
  assert.equal(await c.ask("add 2"), "");
  for (const other of [a, b]) await until(other, "list", "1,2");

  await until(a, "pending", "0");
  await server.kill();
  assert.equal(await b.ask("add 3"), "");
  assert.equal(await a.ask("list"), "1,2,3");
  await a.close();
  await b.close(); // the worker ends

  const d = await tab(0);
  assert.equal(await d.ask("list"), "1,2,3"); // the server is still away
  assert.equal(await d.ask("pending"), "1");
  await d.evaluate(() => globalThis.timeToLoss("kill"));
  assert.equal(await d.ask("list"), "1,2,3");
  assert.equal(await d.ask("add 4"), "");

  server = await startServer(server.address);
  await until(d, "pending", "0");
  await until(c, "list", "1,2,3,4");
  await Promise.all([c.close(), d.close()]);
});
