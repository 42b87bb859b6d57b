// Builds the server that tests start.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    server: string;
  }
}

export default function setup(project: TestProject) {
  const dir = mkdtempSync(join(tmpdir(), "ankurah-web-"));
  const server = join(dir, "server");
  execFileSync("go", ["build", "-o", server, "./web/client/test/server"], { cwd: join(import.meta.dirname, "../../.."), stdio: "inherit" });
  project.provide("server", server);
  return () => rmSync(dir, { recursive: true });
}
