// The chat for its tests: its server, and tabs in which somebody has signed in.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const root = join(import.meta.dirname, "../..");
export const files = join(root, "examples/chat/dist");

/** Builds the server. The page has to be there: make builds it. */
export function buildServer() {
  if (!existsSync(join(files, "index.html"))) throw new Error("the chat's page is not built: run make examples/chat/dist");
  const folder = mkdtempSync(join(tmpdir(), "ankurah-chat-"));
  const program = join(folder, "server");
  execFileSync("go", ["build", "-o", program, "./examples/chat/server"], { cwd: root, stdio: "inherit" });
  let stores = 0;
  return {
    /** Starts a server, on a store and at an address that it had before if they are given. */
    async start({ store = join(folder, `store${++stores}`), address = "127.0.0.1:0", page = files } = {}) {
      const child = spawn(program, ["-data", store, "-files", page, "-listen", address], { stdio: ["ignore", "pipe", "inherit"] });
      const ended = new Promise((over) => child.once("exit", over));
      const line = await new Promise((first, fail) => {
        createInterface(child.stdout).once("line", first);
        ended.then((code) => fail(new Error(`the server ended with ${code}`)));
      });
      const url = line.match(/http:\S+/)[0];
      const end = (signal) => (child.kill(signal), ended);
      return { url, store, address: new URL(url).host, stop: () => end("SIGTERM"), kill: () => end("SIGKILL") };
    },
    remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }),
  };
}

/** A tab in which somebody has signed in. */
export class Tab {
  constructor(page) {
    this.page = page;
    this.connection = page.getByTestId("connection").filter({ visible: true });
    this.composer = page.getByRole("textbox", { name: /^Message to / });
    this.log = page.getByRole("log", { name: "Messages" });
  }

  static async open(browser, url, name, { host } = {}) {
    const page = await browser.context.newPage();
    page.on("pageerror", (error) => console.error(error));
    await page.goto(host ? `${url}?host=${host}` : url);
    const tab = new Tab(page);
    const field = page.getByLabel("Your name");
    await field.or(tab.connection).first().waitFor();
    if (await field.isVisible()) {
      await field.fill(name);
      await page.getByRole("button", { name: "Enter" }).click();
    }
    await tab.connection.waitFor();
    return tab;
  }

  /** Opens a room of the list. */
  async enter(room) {
    await this.page.bringToFront();
    await this.page.getByRole("link", { name: room }).click();
    await this.page.getByRole("heading", { name: room, level: 2 }).waitFor();
  }

  async say(text) {
    await this.composer.fill(text);
    await this.composer.press("Enter");
  }

  message(text) {
    return this.log.locator(".message").filter({ hasText: text });
  }

  /** Waits until there is such a message. */
  sees(text) {
    return this.message(text).first().waitFor();
  }

  /** Waits until there is no such message. */
  misses(text) {
    return this.message(text).first().waitFor({ state: "detached" });
  }

  /** Points at a message, in a tab that is in front: others are drawn rarely. */
  async point(text) {
    await this.page.bringToFront();
    const message = this.message(text);
    await message.hover();
    return message;
  }

  async edit(text, into) {
    const message = await this.point(text);
    await message.getByRole("button", { name: "Edit" }).click();
    const field = this.page.getByRole("textbox", { name: "Edit the message" });
    await field.fill(into);
    await field.press("Enter");
  }

  async delete(text) {
    const message = await this.point(text);
    await message.getByRole("button", { name: "Delete" }).click();
  }

  /** Waits for the connection to be described so. */
  connected(text) {
    return this.connection.filter({ hasText: text }).waitFor();
  }

  close() {
    return this.page.close();
  }
}
