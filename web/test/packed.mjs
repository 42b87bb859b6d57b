// Runs a test binary of GOOS=js under Node.js, packed as the programs of
// browsers are, with the command that PACK names:
//
//   go build -o /tmp/ankurah-wasm ./cmd/ankurah-wasm
//   PACK=/tmp/ankurah-wasm GOOS=js GOARCH=wasm go test -exec "node --stack-size=8192 $PWD/web/test/packed.mjs" ./event

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const [binary, ...args] = process.argv.slice(2);
const goroot = execFileSync("go", ["env", "GOROOT"]).toString().trim();
const folder = mkdtempSync(join(tmpdir(), "ankurah-packed-"));
try {
  // What has no such name is built, not packed.
  const linked = join(folder, "linked.wasm");
  const packed = join(folder, "packed.wasm");
  symlinkSync(resolve(binary), linked);
  execFileSync(process.env.PACK, ["-o", packed, linked], { stdio: "inherit" });
  // Go's script takes the program from the arguments, and reads it at once.
  process.argv.splice(2, Infinity, packed, ...args);
  createRequire(import.meta.url)(join(goroot, "lib/wasm/wasm_exec_node.js"));
} finally {
  rmSync(folder, { recursive: true });
}
