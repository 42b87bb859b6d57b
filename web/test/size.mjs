// Builds a page's program, prints what a browser loads of it, and fails when
// that is over a budget:
//
//   node web/test/size.mjs ./webhost/internal/nodehost 960000
//
// The size is that of brotli at its best, in bytes, as a server sends a file
// that was compressed once.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";

const root = fileURLToPath(new URL("../..", import.meta.url));
const [program, budget] = process.argv.slice(2);
if (!program || !(Number(budget) > 0)) {
  console.error("usage: size.mjs package bytes");
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "ankurah-size-"));
try {
  const file = join(folder, "node.wasm");
  execFileSync("go", ["run", "./cmd/ankurah-wasm", "-o", file, program], { cwd: root, stdio: "inherit" });
  const wasm = readFileSync(file);
  const { length } = brotliCompressSync(wasm, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: wasm.length,
    },
  });
  console.log(`${program}: ${length} bytes with brotli, ${wasm.length} without; the budget is ${budget}`);
  if (length > Number(budget)) {
    console.error(`${program} is ${length - Number(budget)} bytes over its budget`);
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true });
}
