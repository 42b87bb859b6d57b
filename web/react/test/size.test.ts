import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, test } from "vitest";

// Both packages whole, without React.
test("the client and the hooks are at most 10 KB compressed", async () => {
  const { outputFiles } = await build({
    stdin: { contents: 'export * from "@ankurah/client"; export * from "@ankurah/react";', resolveDir: import.meta.dirname },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    conditions: ["ankurah-source"],
    external: ["react"],
  });
  const size = gzipSync(outputFiles[0]!.contents, { level: 9 }).length;
  console.log(`client and hooks: ${size} bytes`);
  expect(size).toBeLessThan(10_000);
  expect(size).toBeGreaterThan(1000);
});
