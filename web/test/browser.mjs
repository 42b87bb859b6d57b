// What the tests in a browser share: a real headless Chromium, and a server on
// loopback for its pages.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { chromium } from "playwright-core";

const flags = [
  "--no-sandbox", // a container's root has none
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Opens a browser with a profile of its own, which close removes. */
export async function open() {
  const profile = await mkdtemp(join(tmpdir(), "ankurah-browser-"));
  const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";
  const context = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args: flags });
  return {
    context,
    async close() {
      await context.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

const types = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };

/**
 * Serves files on loopback. files maps a path to the name of a file, or to a
 * string of HTML when the path is that of a page ("/").
 */
export async function serve(files) {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, "http://localhost").pathname;
    const file = files[path];
    if (file === undefined) {
      response.writeHead(404).end();
      return;
    }
    const page = path.endsWith("/");
    const body = page ? file : await readFile(file);
    response.writeHead(200, { "Content-Type": types[page ? ".html" : extname(path)], "Cache-Control": "no-store" });
    response.end(body);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    close: () => new Promise((closed) => {
      server.close(closed);
      server.closeAllConnections();
    }),
  };
}
