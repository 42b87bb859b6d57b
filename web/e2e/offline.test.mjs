// The chat with a node in a SharedWorker, when the server, the page or the
// worker is not there for a while.
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

/** The page's service worker has all files, and no page is in its way. */
const kept = (tab) => tab.page.evaluate(async () => void (await navigator.serviceWorker.ready));

test("the server is killed: pages open and everything is there; edits arrive when it is back", limit, async () => {
  const ann = await Tab.open(first, server.url, "Ann");
  await ann.enter("Lobby");
  const bob = await Tab.open(second, server.url, "Bob");
  await bob.enter("Lobby");
  await ann.say("before");
  await bob.sees("before");
  await ann.connected("Online");
  await Promise.all([kept(ann), kept(bob)]);

  await server.kill();
  await Promise.all([ann.connected("Offline"), bob.connected("Offline")]);
  await ann.page.reload();
  await ann.sees("before");
  await ann.sees("Welcome!");
  await ann.say("while it was away");
  await ann.edit("before", "before, edited");
  await ann.sees("before, edited");
  const waiting = "Offline, 3 to send"; // both, and how far Ann has read
  await ann.connected(waiting);
  await ann.page.reload(); // what is not sent yet is kept too
  await ann.sees("while it was away");
  await ann.connected(waiting);

  // Everybody closes everything.
  await ann.close();
  const again = await Tab.open(first, server.url, "Ann");
  await again.enter("Lobby");
  await again.sees("while it was away");

  server = await program.start(server);
  for (const t of [again, bob]) await t.connected(/^Online$/);
  for (const text of ["while it was away", "before, edited"]) await bob.sees(text);
  await bob.say("welcome back");
  await again.sees("welcome back");
  await Promise.all([again.close(), bob.close()]);
});

test("what the server refuses after it was away is taken back, with the reason", limit, async () => {
  const ann = await Tab.open(first, server.url, "Ann");
  await ann.enter("Lobby");
  await ann.connected("Online");
  await server.kill();
  await ann.connected("Offline");
  await ann.say("x".repeat(2001));
  await ann.sees("xxx");
  await ann.say("this one is fine");
  await ann.connected(/^Offline, \d to send$/);
  server = await program.start(server);
  await ann.page.getByRole("alert").getByText("A message can have 2000 characters, this one has 2001.").waitFor();
  await ann.misses("xxx");
  await ann.sees("this one is fine");
  await ann.connected(/^Online$/);
  await ann.close();
});

test("a refusal of what was done before the page was loaded again is told too", limit, async () => {
  const ann = await Tab.open(first, server.url, "Ann");
  await ann.enter("Lobby");
  await ann.connected("Online");
  await kept(ann);
  await server.kill();
  await ann.connected("Offline");
  await ann.say("y".repeat(2002));
  await ann.sees("yyy");
  await ann.page.reload();
  await ann.sees("yyy");
  server = await program.start(server);
  const notice = ann.page.getByRole("alert");
  await notice.getByText("Something that you did earlier was taken back.").waitFor();
  await notice.getByText("A message can have 2000 characters, this one has 2002.").waitFor();
  await ann.misses("yyy");
  await ann.close();
});

test("a server that has lost its data: pages begin anew", limit, async () => {
  const ann = await Tab.open(first, server.url, "Ann");
  await ann.enter("Lobby");
  await ann.say("soon forgotten");
  await ann.connected(/^Online$/);
  const { address } = server;
  await server.kill();
  server = await program.start({ address }); // on an empty store
  await ann.page.reload();
  await ann.connected(/^Online$/);
  await ann.page.evaluate(() => (location.hash = ""));
  await ann.enter("Lobby");
  await ann.sees("Welcome!");
  await ann.misses("soon forgotten");
  await ann.say("a new beginning");
  const bob = await Tab.open(second, server.url, "Bob");
  await bob.enter("Lobby");
  await bob.sees("a new beginning");
  await Promise.all([ann.close(), bob.close()]);
});

test("a worker that is killed is started again, with everything in it", limit, async () => {
  const ann = await Tab.open(first, server.url, "Ann");
  await ann.enter("Lobby");
  await ann.say("before the worker died");
  await ann.connected(/^Online$/);
  const devtools = await first.context.newCDPSession(ann.page);
  const find = async () => (await devtools.send("Target.getTargets")).targetInfos.find((t) => t.type === "shared_worker")?.targetId;
  const worker = await find();
  await devtools.send("Target.closeTarget", { targetId: worker });
  await ann.say("after it died");
  for (const text of ["before the worker died", "after it died"]) await ann.sees(text);
  await ann.connected(/^Online$/);
  assert.notEqual(await find(), worker);
  const bob = await Tab.open(second, server.url, "Bob");
  await bob.enter("Lobby");
  await bob.sees("after it died");
  await Promise.all([ann.close(), bob.close()]);
});
