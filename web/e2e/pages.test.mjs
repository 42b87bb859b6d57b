// The chat in real browsers, with a node in a SharedWorker, with one in a
// Worker of the page, and without one: what people do has to look the same.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { open } from "../test/browser.mjs";
import { Tab, buildServer } from "./chat.mjs";

const limit = { timeout: 60_000 };
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

for (const host of ["shared", "dedicated", "remote"]) {
  // Each has people and rooms of its own.
  const [ann, bob] = ["Ann", "Bob"].map((name) => `${name} ${host}`);
  const room = `Room ${host}`;
  const tab = (browser, name) => Tab.open(browser, server.url, name, { host });
  let one, two, other;

  test(`${host}: a room that is made is there for others, who join it`, limit, async () => {
    [one, other] = await Promise.all([tab(first, ann), tab(second, bob)]);
    await one.connected("Online");
    await one.page.getByLabel("Name of a new room").fill(room);
    await one.page.getByRole("button", { name: "Create" }).click();
    await one.enter(room);
    await other.page.getByRole("button", { name: `Join ${room}` }).click();
    await other.composer.waitFor();
    await one.page.getByText("2 members").waitFor();
    const devtools = await first.context.newCDPSession(one.page);
    const { targetInfos } = await devtools.send("Target.getTargets");
    const workers = targetInfos.map((t) => t.type).filter((type) => type.endsWith("worker") && type !== "service_worker");
    assert.deepEqual(workers, { shared: ["shared_worker"], dedicated: ["worker"], remote: [] }[host]);
  });

  test(`${host}: two tabs and two browsers: create, edit, delete`, limit, async () => {
    two = await tab(first, ann);
    await two.enter(room);
    await one.say("good morning");
    for (const t of [two, other]) await t.sees("good morning");
    await two.edit("good morning", "good evening");
    for (const t of [one, two, other]) await t.sees(/good evening\s*\(edited\)/);
    await other.say("hello Ann");
    for (const t of [one, two]) await t.sees("hello Ann");
    // What is not one's own has no buttons.
    assert.equal(await (await one.point("hello Ann")).getByRole("button").count(), 0);
    await one.delete("good evening");
    for (const t of [one, two, other]) await t.misses("good evening");
    await one.page.getByRole("button", { name: "Undo" }).click();
    for (const t of [one, two, other]) await t.sees("good evening");
  });

  test(`${host}: unread messages are counted until somebody looks`, limit, async () => {
    await other.enter("Lobby");
    const link = other.page.getByRole("link", { name: room });
    await one.say("first");
    await link.getByText("1 unread").waitFor();
    await one.say("second");
    await link.getByText("2 unread").waitFor();
    await other.enter(room);
    await link.getByText(/unread/).waitFor({ state: "detached" });
  });

  test(`${host}: what is refused is taken back on screen, with the reason`, limit, async () => {
    const long = "so much ".repeat(300);
    await one.say("to be edited");
    for (const t of [one, other]) await t.sees("to be edited");
    await one.edit("to be edited", long);
    const notice = one.page.getByRole("alert");
    await notice.getByText("A message can have 2000 characters, this one has 2399.").waitFor();
    await one.sees("to be edited");
    await one.misses("so much");
    await notice.getByRole("button", { name: "Dismiss" }).click();

    await one.say(long);
    await notice.getByText("Your message was not sent.").waitFor();
    await one.misses("so much");
    await notice.getByRole("button", { name: "Edit it" }).click();
    assert.equal(await one.composer.inputValue(), long.trim());
    await one.composer.fill("");

    // The server decides who may edit, not the buttons.
    const refused = other.page.evaluate(async () => {
      const { client, Message } = globalThis.chat;
      const [message] = await client.fetch(Message, "text = 'to be edited'");
      await client.transact((tx) => tx.edit(Message, message, { text: "stolen" }), { confirmed: true });
    });
    await assert.rejects(refused, /only its author may change a message/);
    for (const t of [one, other]) {
      await t.sees("to be edited");
      await t.misses("stolen");
    }
  });

  test(`${host}: closing the first tab does not disturb the second`, limit, async () => {
    await one.close();
    await two.say("still here");
    for (const t of [two, other]) await t.sees("still here");
    await other.say("so am I");
    await two.sees("so am I");
    for (const t of [two, other]) {
      await t.page.evaluate(() => localStorage.clear()); // signed out, for whoever comes next
      await t.close();
    }
  });
}
