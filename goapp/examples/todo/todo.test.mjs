// The page in real browsers, against its server.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { open } from "../../../web/test/browser.mjs";

const limit = { timeout: 60_000 };
const module = join(import.meta.dirname, "../..");
let folder, server;
const browsers = [];
const outside = []; // requests to anywhere else
const errors = []; // of pages

/** Starts the server, where it was before if it was. */
async function startServer(addr = "127.0.0.1:0") {
  const args = ["-addr", addr, "-data", join(folder, "data"), "-wasm", join(folder, "app.wasm")];
  const child = spawn(join(folder, "server"), args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const url = await new Promise((line) => createInterface(child.stdout).once("line", line));
  return { url, addr: new URL(url).host, kill: () => (child.kill("SIGKILL"), ended), stop: () => (child.kill("SIGTERM"), ended) };
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "ankurah-todo-"));
  const build = (env, ...args) => execFileSync("go", ["build", ...args, "./examples/todo"], { cwd: module, stdio: "inherit", env: { ...process.env, ...env } });
  build({}, "-o", join(folder, "server"));
  build({ GOOS: "js", GOARCH: "wasm" }, "-trimpath", "-ldflags=-s -w", "-o", join(folder, "app.wasm"));
  server = await startServer();
  for (const browser of [await open(), await open()]) {
    browsers.push(browser);
    browser.context.on("request", (r) => {
      const url = new URL(r.url());
      if (url.protocol !== "data:" && url.host !== server.addr) outside.push(r.url());
    });
  }
});

after(async () => {
  await Promise.all(browsers.map((browser) => browser.close()));
  await server?.stop();
  rmSync(folder, { recursive: true });
});

/** A tab of a browser, with what a user does in it. */
async function openTab(browser) {
  const page = await browsers[browser].context.newPage();
  page.on("pageerror", (e) => errors.push(String(e)));
  await page.goto(server.url);
  await page.waitForSelector("main .badge");
  return {
    page,
    add: async (title) => {
      await page.fill("input[name=title]", title);
      await page.press("input[name=title]", "Enter");
    },
    tick: (title) => page.getByRole("checkbox", { name: `Done: ${title}`, exact: true }).click(),
    remove: (title) => page.getByRole("button", { name: `Remove ${title}`, exact: true }).click(),
    tab: (name) => page.getByRole("button", { name, exact: true }).click(),
    /** Waits until the list is this; what is done begins with a +. */
    shows: (...want) =>
      page
        .waitForFunction((want) => {
          const items = [...document.querySelectorAll("main li")];
          const now = items.map((li) => (li.querySelector("[aria-checked=true]") ? "+" : "") + li.querySelector(".title").textContent);
          globalThis.now = now;
          return JSON.stringify(now) === JSON.stringify(want);
        }, want)
        .catch(async () => assert.deepEqual(await page.evaluate(() => globalThis.now), want)),
    says: (selector, text) => page.locator(selector, { hasText: text }).waitFor(),
  };
}

test("two browsers see what each does; pages are loaded again, with a server and without", limit, async () => {
  const a = await openTab(0);
  await a.says(".badge", "Saved");
  await a.says(".empty", "Nothing here.");
  await a.add("milk");
  await a.add("bread");
  await a.shows("milk", "bread");
  assert.equal(await a.page.inputValue("input[name=title]"), "");

  const b = await openTab(1);
  await b.shows("milk", "bread");
  await b.add("salt");
  await b.tick("milk");
  await a.shows("+milk", "bread", "salt");
  await a.says(".left", "2 left");
  await a.remove("bread");
  await b.shows("+milk", "salt");

  // Handlers are those of the row that is shown, whatever was there before.
  await b.tick("milk");
  await a.shows("milk", "salt");
  await a.tick("salt");
  await b.shows("milk", "+salt");
  await b.tab("Open");
  await b.shows("milk");
  await b.tick("milk");
  await b.says(".empty", "Nothing here.");
  await b.tab("Done");
  await b.shows("+milk", "+salt");
  await b.tick("milk");
  await b.shows("+salt");
  await b.tab("All");
  await b.shows("milk", "+salt");

  await a.page.reload();
  await a.shows("milk", "+salt");

  // The server is away.
  await a.page.waitForFunction(() => navigator.serviceWorker.controller?.state === "activated");
  await server.kill();
  await a.says(".badge", "Offline");
  await a.add("pepper");
  await a.tick("milk");
  await a.says(".badge", "Offline, 2 to send");
  await a.shows("+milk", "+salt", "pepper");
  await a.page.reload();
  await a.shows("+milk", "+salt", "pepper");
  await a.says(".badge", "Offline, 2 to send");

  server = await startServer(server.addr);
  await a.says(".badge", "Saved");
  await b.shows("+milk", "+salt", "pepper");

  // Another tab of the same browser has no database of its own.
  const c = await openTab(0);
  await c.shows("+milk", "+salt", "pepper");
  await c.says(".hint", "Another tab keeps the list.");
  assert.equal(await a.page.locator(".hint").count(), 0);
  await c.page.getByRole("button", { name: "Remove what is done" }).click();
  for (const tab of [a, b, c]) await tab.shows("pepper");
  await c.says(".badge", "Saved");

  assert.deepEqual(outside, []);
  assert.deepEqual(errors, []);
});

test("the page asks nobody else", limit, async () => {
  const manifest = await (await fetch(server.url + "manifest.webmanifest")).json();
  const html = await (await fetch(server.url)).text();
  const worker = await (await fetch(server.url + "app-worker.js")).text();
  for (const [, url] of (JSON.stringify(manifest) + html + worker).matchAll(/"((?:https?:)?\/\/[^"]+)"/g)) {
    assert.equal(new URL(url, server.url).host, server.addr, url);
  }
  for (const { src } of manifest.icons) {
    const icon = await fetch(new URL(src, server.url));
    assert.equal(icon.status, 200, src);
    assert.match(icon.headers.get("content-type"), /^image\//);
  }
});
