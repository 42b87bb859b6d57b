import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { conditions: ["source"] },
  ssr: { resolve: { conditions: ["source"], externalConditions: ["source"] } },
  test: {
    include: ["client/test/**/*.test.ts", "react/test/**/*.test.tsx", "react/test/**/*.test.ts"],
    globalSetup: ["client/test/global.ts"],
    testTimeout: 15_000,
    hookTimeout: 120_000,
  },
});
