// What the chat is like for people: accessible in every look, usable with the
// keyboard alone, and not frozen by much that arrives at once.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { open } from "../test/browser.mjs";
import { Tab, buildServer } from "./chat.mjs";

const limit = { timeout: 60_000 };
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let program, server, first, second;

before(async () => {
  program = buildServer();
  [server, first, second] = await Promise.all([program.start(), open(), open()]);
});

after(async () => {
  await Promise.all([first?.close(), second?.close()]);
  await server?.stop();
  program?.remove();
});

/** Looks for violations of the rules of WCAG 2.2 AA and of good practice. */
async function check(page, where) {
  // The page's own policy lets no other script in: devtools do.
  const { violations, passes } = await page.evaluate(`${axe}; axe.run(document)`);
  const found = violations.map((v) => `${where}: ${v.id}: ${v.help}: ${v.nodes.map((n) => `${n.html} ${n.failureSummary}`).join("; ")}`);
  assert.deepEqual(found, []);
  assert.ok(passes.length > 10, `${where}: ${passes.length} rules were checked`);
}

test("accessible: signing in, a room, an edit, a refusal; light and dark, wide and narrow", limit, async () => {
  const page = await first.context.newPage();
  await page.goto(server.url);
  await page.getByLabel("Your name").waitFor();
  await check(page, "signing in");
  const ann = await Tab.open(first, server.url, "Ann");
  const bob = await Tab.open(second, server.url, "Bob");
  await bob.page.evaluate(async () => {
    const { client, Room, Membership, user } = globalThis.chat;
    await client.transact((tx) => tx.create(Room, { name: "Garden", creator: user.id, created: new Date() }), { confirmed: true });
  });
  await ann.enter("Lobby");
  await ann.say("good day");
  await bob.enter("Lobby");
  await bob.say("hello to you");
  await ann.sees("hello to you");
  await ann.page.getByRole("button", { name: "Join Garden" }).waitFor();
  await ann.say("x".repeat(2001));
  await ann.page.getByRole("alert").waitFor();
  for (const colorScheme of ["light", "dark"]) {
    await ann.page.emulateMedia({ colorScheme });
    for (const [width, height] of [[1280, 800], [390, 844]]) {
      await ann.page.setViewportSize({ width, height });
      await check(ann.page, `a room, ${colorScheme}, ${width} wide`);
      // Nothing stands out of the window.
      const wide = await ann.page.evaluate(() => Math.max(...[...document.querySelectorAll("body *")].map((e) => e.getBoundingClientRect().right)));
      assert.ok(wide <= width, `${wide} wide in ${width}`);
    }
    await ann.page.getByRole("link", { name: "All rooms" }).click();
    await ann.page.getByRole("navigation", { name: "Rooms" }).waitFor();
    await check(ann.page, `rooms, ${colorScheme}, narrow`);
    await ann.page.setViewportSize({ width: 1280, height: 800 });
    await ann.enter("Lobby");
  }
  await (await ann.point("good day")).getByRole("button", { name: "Edit" }).click();
  await check(ann.page, "an edit");
  await Promise.all([page.close(), ann.close(), bob.close()]);
});

test("an address that names nothing, and a page that cannot be shown, say so", limit, async () => {
  const ann = await Tab.open(first, server.url, "Ann");
  const { page } = ann;
  for (const room of ["nonsense", "0".repeat(26)]) {
    await page.goto(`${server.url}#${room}`);
    await page.getByText("This room is not there.").waitFor();
  }
  await page.getByRole("link", { name: "Lobby" }).waitFor();

  // Somebody whom the server does not know, and who cannot sign in now.
  await page.addInitScript(() => {
    const { fetch } = globalThis;
    globalThis.fetch = (url, ...more) => (url === "/signin" ? Promise.reject(new TypeError("no network")) : fetch(url, ...more));
  });
  await page.evaluate(() => localStorage.setItem("chat.user", JSON.stringify({ id: "0".repeat(26), name: "Eve" })));
  await page.goto(`${server.url}?host=remote#${"0".repeat(26)}`);
  await page.getByRole("heading", { name: "This page cannot be shown" }).waitFor();
  assert.match(await page.getByRole("alert").textContent(), /^\S.+\.$/);
  await check(page, "trouble");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Your name").waitFor();

  await page.evaluate(() => localStorage.setItem("chat.user", "{broken"));
  await page.reload();
  await page.getByLabel("Your name").waitFor();
  await ann.close();
});

test("the keyboard is enough", limit, async () => {
  const ann = await Tab.open(first, server.url, "Ann");
  const { page } = ann;
  /** Presses Tab until what has the focus is called so. */
  const reach = async (name) => {
    for (let k = 0; k < 60; k++) {
      await page.keyboard.press("Tab");
      const is = await page.evaluate(() => {
        const e = document.activeElement;
        return e.getAttribute("aria-label") ?? e.textContent;
      });
      if (is.includes(name)) return;
    }
    assert.fail(`${name} cannot be reached`);
  };
  await page.bringToFront();
  await page.getByRole("link", { name: "Lobby" }).waitFor();
  await reach("Lobby");
  await page.keyboard.press("Enter");
  await ann.composer.waitFor();
  await reach("Message to Lobby");
  await page.keyboard.type("by hand");
  await page.keyboard.press("Enter");
  await ann.sees("by hand");
  await page.keyboard.press("ArrowUp"); // the last own one
  await page.getByRole("textbox", { name: "Edit the message" }).waitFor();
  await page.keyboard.type(", edited");
  await page.keyboard.press("Enter");
  await ann.sees("by hand, edited");
  await ann.composer.focus();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.type("!");
  await page.keyboard.press("Escape");
  await page.getByRole("textbox", { name: "Edit the message" }).waitFor({ state: "detached" });
  await ann.misses("edited!");
  await ann.close();
});

test("5,000 messages arrive: the page takes them in few pieces, and shows fifty", limit, async (t) => {
  const bob = await Tab.open(second, server.url, "Bob");
  const ann = await Tab.open(first, server.url, "Ann");
  await ann.enter("Lobby");
  await ann.connected("Online");
  // Beside the room that is on screen, a query of all that is in it.
  const room = await ann.page.evaluate(() => location.hash.slice(1));
  await ann.page.evaluate(async (room) => {
    const { client, Message } = globalThis.chat;
    const query = client.query(Message, "room = ? ORDER BY sent", room);
    globalThis.burst = { updates: 0, longest: 0, frames: 0 };
    query.subscribe(() => burst.updates++);
    await query.ready;
    burst.rows = () => query.get().length;
    burst.updates = 0;
    let last = performance.now();
    (function frame(now) {
      burst.longest = Math.max(burst.longest, now - last);
      burst.frames++;
      last = now;
      requestAnimationFrame(frame);
    })(last);
  }, room);
  const before = await ann.page.evaluate(() => burst.rows());
  const commits = 20;
  await bob.page.evaluate(
    async ([room, commits]) => {
      const { client, Message, user } = globalThis.chat;
      for (let c = 0; c < commits; c++) {
        const rows = Array.from({ length: 5000 / commits }, (_, k) => ({ room, author: user.id, text: `burst ${c}.${k}`, sent: new Date(Date.now() + 60_000 * (c + 1) + k) }));
        await client.transact((tx) => rows.forEach((r) => tx.create(Message, r)));
      }
    },
    [room, commits],
  );
  await ann.page.waitForFunction((n) => globalThis.burst.rows() === n, before + 5000);
  await ann.sees("burst 19.249");
  const { longest, updates, frames } = await ann.page.evaluate(() => burst);
  t.diagnostic(`longest time between two frames: ${Math.round(longest)} ms; ${updates} updates, ${frames} frames`);
  // A commit is never told in pieces, and the page does no work for each row.
  assert.ok(updates >= 1 && updates <= 2 * commits, `${updates} updates`);
  assert.equal(await ann.log.locator(".message").count(), 50);
  await ann.page.getByRole("button", { name: "Show earlier messages" }).click();
  await ann.page.waitForFunction(() => document.querySelectorAll(".message").length === 100);
  await Promise.all([ann.close(), bob.close()]);
});
