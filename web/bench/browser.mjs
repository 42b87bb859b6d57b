// Figures of the chat in Chromium, as docs/BENCHMARKS.md has them:
//
//   make bench-browser            RUNS=5 is how often everything is measured
//
// Each run has a browser with a new profile and a server with a new store.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { Tab, buildServer, root } from "../e2e/chat.mjs";
import { open } from "../test/browser.mjs";

const runs = Number(process.env.RUNS ?? 5);
const clicks = 100;
const burst = { entities: 5000, commits: 20 };
const figures = new Map(); // name -> values

function note(name, value) {
  figures.set(name, [...(figures.get(name) ?? []), value]);
}

/** Opens the chat in a new tab, and returns the tab and when its first message was there. */
async function firstMessage(browser, url, room) {
  const page = await browser.context.newPage();
  await page.addInitScript(() => {
    new MutationObserver((_, observer) => {
      if (!document.querySelector(".message")) return;
      globalThis.firstMessage = performance.now();
      observer.disconnect();
    }).observe(document, { childList: true, subtree: true });
  });
  await page.goto(`${url}#${room}`);
  const took = await (await page.waitForFunction(() => globalThis.firstMessage)).jsonValue();
  return [new Tab(page), took];
}

/** Signs somebody in without loading the page, so that nothing is kept of it. */
async function prepare(browser, url, name) {
  const page = await browser.context.newPage();
  await page.goto(`${url}icon.svg`);
  await page.evaluate(async (name) => {
    const answer = await fetch("/signin", { method: "POST", body: JSON.stringify({ name }) });
    localStorage.setItem("chat.user", JSON.stringify(await answer.json()));
  }, name);
  await page.close();
}

/** Sends messages by the button, and notes how long each takes to be on screen. */
function sendMany(tab, n) {
  return tab.page.evaluate(async (n) => {
    const field = document.querySelector(".composer textarea");
    const button = document.querySelector(".composer button");
    const list = document.querySelector(".messages ol");
    const set = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value").set;
    const took = [];
    for (let k = 0; k < n; k++) {
      set.call(field, `message ${k}`);
      field.dispatchEvent(new Event("input", { bubbles: true }));
      await new Promise((next) => setTimeout(next, 20));
      const start = performance.now();
      const shown = new Promise((seen) => {
        const observer = new MutationObserver(() => list.lastElementChild.textContent.includes(`message ${k}`) && (observer.disconnect(), seen()));
        observer.observe(list, { childList: true, subtree: true, characterData: true });
      });
      button.click();
      await shown;
      took.push(performance.now() - start);
    }
    return took;
  }, n);
}

/** Creates many messages in a few transactions, one after the other, and returns how long that took. */
function createMany(tab, room) {
  return tab.page.evaluate(
    async ([room, { entities, commits }]) => {
      const { client, Message, user } = globalThis.chat;
      const start = performance.now();
      for (let c = 0; c < commits; c++) {
        await client.transact((tx) => {
          for (let k = 0; k < entities / commits; k++) {
            tx.create(Message, { room, author: user.id, text: `burst ${c}.${k}`, sent: new Date(Date.now() + 60_000 * (c + 1) + k) });
          }
        });
      }
      return performance.now() - start;
    },
    [room, burst],
  );
}

async function run(program) {
  const server = await program.start();
  const [first, second] = [await open(), await open()];
  try {
    await prepare(first, server.url, "Ann");
    const bob = await Tab.open(second, server.url, "Bob");
    await bob.enter("Lobby");
    const room = await bob.page.evaluate(() => location.hash.slice(1));

    let [ann, took] = await firstMessage(first, server.url, room);
    note("first message on screen, nothing in the browser", took);
    const [two, second2] = await firstMessage(first, server.url, room);
    note("the same in a second tab", second2);
    await two.close();
    await ann.page.evaluate(async () => void (await navigator.serviceWorker.ready));
    await ann.close();
    [ann, took] = await firstMessage(first, server.url, room);
    note("the same when everything was closed and is in the browser", took);

    const sent = await sendMany(ann, clicks);
    note("click to the message on screen, median", median(sent));
    note("click to the message on screen, 95 %", quantile(sent, 0.95));

    await ann.page.bringToFront();
    await ann.page.evaluate(() => {
      globalThis.longest = 0;
      let last = performance.now();
      (function frame(now) {
        longest = Math.max(longest, now - last);
        last = now;
        requestAnimationFrame(frame);
      })(last);
    });
    await ann.page.waitForTimeout(1000);
    note("longest time between two frames, idle", await ann.page.evaluate(() => longest));
    await ann.page.evaluate(() => (globalThis.longest = 0));
    const start = performance.now();
    await createMany(bob, room);
    await ann.sees(`burst ${burst.commits - 1}.${burst.entities / burst.commits - 1}`);
    note("5,000 messages from another browser to the screen", performance.now() - start);
    note("longest time between two frames meanwhile", await ann.page.evaluate(() => longest));

    await server.kill();
    await ann.connected("Offline");
    const offline = await createMany(ann, room);
    note("messages stored in IndexedDB per second, 250 to a transaction", burst.entities / (offline / 1000));
  } finally {
    await Promise.all([first.close(), second.close()]);
    await server.kill();
  }
}

function sizes() {
  const dist = join(root, "examples/chat/dist/assets");
  const rows = [];
  for (const name of readdirSync(dist).filter((n) => /\.(wasm|js|css)$/.test(n))) {
    const bytes = readFileSync(join(dist, name));
    const packed = readFileSync(join(dist, `${name}.br`));
    rows.push(`| ${name.replace(/-[\w-]{8}(?=\.)/, "")} | ${kb(bytes.length)} | ${kb(gzipSync(bytes, { level: 9 }).length)} | ${kb(packed.length)} |`);
  }
  return ["| file | bytes | gzip -9 | brotli |", "|---|---|---|---|", ...rows];
}

const kb = (n) => `${(n / 1000).toFixed(1)} kB`;
const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))];
const median = (values) => quantile(values, 0.5);

const program = buildServer();
try {
  for (let k = 0; k < runs; k++) await run(program);
} finally {
  program.remove();
}
console.log(["| case | median | least | most |", "|---|---|---|---|"].join("\n"));
for (const [name, values] of figures) {
  const unit = name.includes("per second") ? "" : " ms";
  const text = (v) => `${v < 100 ? v.toFixed(1) : Math.round(v)}${unit}`;
  console.log(`| ${name} | ${text(median(values))} | ${text(Math.min(...values))} | ${text(Math.max(...values))} |`);
}
console.log(["", ...sizes()].join("\n"));
