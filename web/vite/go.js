// Calls of the go command.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";

/** What go build had to say, with the first place that it named. */
export class BuildError extends Error {
  constructor(output, root) {
    super(output);
    this.name = "BuildError";
    const place = /^(\S[^:\n]*\.go):(\d+)(?::(\d+))?: /m.exec(output);
    if (!place) return;
    const file = isAbsolute(place[1]) ? place[1] : resolve(root, place[1]);
    this.loc = { file, line: Number(place[2]), column: Number(place[3] ?? 1) - 1 };
  }
}

/** Runs go and returns what it prints; heard is given what it says beside. */
export function go(args, { cwd, env, heard = () => {} }) {
  return new Promise((done, fail) => {
    execFile("go", args, { cwd, env: { ...process.env, ...env }, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      if (!error) done((heard(stderr), stdout));
      else if (error.code === "ENOENT") fail(new BuildError("the go command is not there: install Go, see https://go.dev/doc/install", cwd));
      else fail(new BuildError(stderr.trim() || error.message, cwd));
    });
  });
}

const wasm = { GOOS: "js", GOARCH: "wasm" };

const packer = "github.com/ankurah/ankurah-go/cmd/ankurah-wasm";

/**
 * Builds a package as WebAssembly into a file, and returns its bytes and a hash of them. A small one is packed; warn is
 * told what could not be.
 */
export async function buildWasm({ cwd, pkg, flags, ldflags, env, file, small, warn }) {
  await mkdir(dirname(file), { recursive: true });
  const all = [`-ldflags=${ldflags}`, ...flags];
  if (small) {
    const heard = (text) => text.split("\n").filter((line) => line.startsWith("ankurah-wasm: ")).forEach(warn);
    await go(["run", packer, "-o", file, ...all.map((flag) => `-build=${flag}`), pkg], { cwd, env, heard });
  } else {
    await go(["build", "-trimpath", ...all, "-o", file, pkg], { cwd, env: { ...env, ...wasm } });
  }
  const bytes = await readFile(file);
  return { bytes, hash: createHash("sha256").update(bytes).digest("hex").slice(0, 16) };
}

/** Reads the wasm_exec.js that came with the compiler. */
export async function readWasmExec(cwd) {
  const root = (await go(["env", "GOROOT"], { cwd })).trim();
  return readFile(join(root, "lib/wasm/wasm_exec.js"), "utf8");
}

/** The folders that a package is built from, apart from Go's own and those of downloaded modules. */
export async function foldersOf({ cwd, pkg, flags, env, target = wasm }) {
  const format = "{{if not .Standard}}{{with .Module}}{{if or .Main .Replace}}{{$.Dir}}\n{{.Dir}}{{end}}{{end}}{{end}}";
  const out = await go(["list", "-deps", "-e", "-f", format, ...flags, pkg], { cwd, env: { ...env, ...target } });
  return new Set(out.split("\n").filter(Boolean));
}
