// The service worker, with which a page opens without its server.
import { createHash } from "node:crypto";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";

/** Writes sw.js for the files of a folder, if there is a page among them. */
export async function writeServiceWorker(folder, source) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((f) => f.isFile() && !/\.(br|gz|map)$/.test(f.name) && f.name !== "sw.js")
    .map((f) => relative(folder, join(f.parentPath, f.name)).split(sep).join("/"))
    .sort();
  if (!files.includes("index.html")) return;
  const hash = createHash("sha256");
  for (const file of files) hash.update(`${file}\n`).update(await readFile(join(folder, file)));
  const build = hash.digest("hex").slice(0, 16);
  // Servers answer the folder with its index.html.
  const list = ["./", ...files.filter((f) => f !== "index.html")];
  const head = `const build = ${JSON.stringify(build)};\nconst files = ${JSON.stringify(list)};\n`;
  await writeFile(join(folder, "sw.js"), head + (await readFile(source, "utf8")));
}
