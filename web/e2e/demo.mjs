// Runs make demo as somebody would: reads the address that it prints, opens it
// in two tabs, and ends it with Ctrl-C.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { open } from "../test/browser.mjs";
import { Tab, root } from "./chat.mjs";

const demo = spawn("make", ["demo", "LISTEN=127.0.0.1:0"], { cwd: root, stdio: ["ignore", "pipe", "inherit"], detached: true });
const ended = new Promise((over) => demo.once("exit", over));
let browser;
try {
  const url = await new Promise((ready, fail) => {
    createInterface(demo.stdout).on("line", (line) => {
      console.log(line);
      const found = line.match(/^Chat is ready: (\S+)/);
      if (found) ready(found[1]);
    });
    ended.then((code) => fail(new Error(`make demo has ended with ${code}`)));
  });
  browser = await open();
  const name = `Visitor ${process.pid}`;
  const [one, two] = [await Tab.open(browser, url, name), await Tab.open(browser, url, name)];
  for (const tab of [one, two]) await tab.enter("Lobby");
  const text = `${name} was here`;
  await one.say(text);
  await two.sees(text);
  console.log("two tabs are in sync");
} finally {
  await browser?.close();
  if (demo.exitCode === null) process.kill(-demo.pid, "SIGINT");
  await ended;
}
