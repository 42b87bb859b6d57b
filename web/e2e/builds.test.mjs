// Two builds of the chat in one browser, and two workers for one database: what
// people are told, and that nothing is lost.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { open } from "../test/browser.mjs";
import { Tab, buildServer, files } from "./chat.mjs";

const limit = { timeout: 60_000 };
let program, server, browser, newer;

before(async () => {
  newer = anotherBuild();
  program = buildServer();
  [server, browser] = await Promise.all([program.start(), open()]);
});

after(async () => {
  await browser?.close();
  await server?.stop();
  program?.remove();
  rmSync(newer, { recursive: true, force: true });
});

/** The built page as another build: its script has another name, and says another build of the node. */
function anotherBuild() {
  const folder = mkdtempSync(join(tmpdir(), "ankurah-build-"));
  cpSync(files, folder, { recursive: true, filter: (name) => !name.endsWith(".br") });
  const rewrite = (name, change) => {
    const text = readFileSync(join(folder, name), "utf8");
    const other = change(text);
    assert.notEqual(other, text, name);
    writeFileSync(join(folder, name), other);
  };
  const script = readdirSync(join(folder, "assets")).find((n) => /^index-.*\.js$/.test(n));
  rewrite(`assets/${script}`, (text) => text.replace(/(build:[`"'])[0-9a-f]{16}/, (_, head) => `${head}0123456789abcdef`));
  renameSync(join(folder, "assets", script), join(folder, "assets/index-newer.js"));
  for (const name of ["index.html", "sw.js"]) rewrite(name, (text) => text.replaceAll(script, "index-newer.js"));
  return folder;
}

const banner = (tab, text) => tab.page.locator(".banner").filter({ hasText: text });

test("a page of a newer build waits for the database; both are told, and see the same in the end", limit, async () => {
  const old = await Tab.open(browser, server.url, "Ann");
  await old.enter("Lobby");
  await old.say("from the old one");
  await old.connected(/^Online$/);
  await server.stop();
  server = await program.start({ ...server, page: newer });
  await old.connected(/^Online$/);

  const young = await Tab.open(browser, server.url, "Ann");
  await banner(young, "Another tab has an older version of this page. Reload or close it.").waitFor();
  await banner(old, "There is a new version of this page.").waitFor();
  assert.equal(await young.page.getByRole("link", { name: "Lobby" }).count(), 0); // it has no data yet
  await old.say("the old one goes on");
  await old.sees("the old one goes on");

  await banner(old, "There is a new version").getByRole("button", { name: "Reload" }).click();
  await young.enter("Lobby");
  for (const text of ["from the old one", "the old one goes on"]) await young.sees(text);
  await old.sees("the old one goes on");
  for (const tab of [old, young]) assert.equal(await tab.page.locator(".banner").count(), 0);
  await young.say("both are new");
  await old.sees("both are new");
  await Promise.all([old.close(), young.close()]);
});

test("a node that cannot be started: the page says why, and goes on when it can", limit, async () => {
  const broken = mkdtempSync(join(tmpdir(), "ankurah-broken-"));
  const other = await open();
  try {
    cpSync(files, broken, { recursive: true });
    const node = readdirSync(join(broken, "assets")).find((n) => n.endsWith(".wasm"));
    for (const name of [node, `${node}.br`]) renameSync(join(broken, "assets", name), join(broken, name));
    await server.stop();
    server = await program.start({ ...server, page: broken });
    const ann = await Tab.open(other, server.url, "Ann");
    await banner(ann, /^Your messages cannot be opened, which is tried again: .*HTTP status/).waitFor();
    for (const name of [node, `${node}.br`]) renameSync(join(broken, name), join(broken, "assets", name));
    await ann.connected(/^Online$/);
    await ann.enter("Lobby");
    assert.equal(await ann.page.locator(".banner").count(), 0);
  } finally {
    await other.close();
    await server.stop();
    server = await program.start({ ...server, page: newer });
    rmSync(broken, { recursive: true });
  }
});

test("a second tab with a worker of its own says that it keeps nothing", limit, async () => {
  const one = await Tab.open(browser, server.url, "Ann", { host: "dedicated" });
  await one.enter("Lobby");
  const two = await Tab.open(browser, server.url, "Ann", { host: "dedicated" });
  await banner(two, "Another tab keeps the messages.").waitFor();
  await two.enter("Lobby");
  await two.say("by way of the server");
  await one.sees("by way of the server");
  assert.equal(await one.page.locator(".banner").count(), 0);
  await Promise.all([one.close(), two.close()]);
});
