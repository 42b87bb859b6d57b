import { defineConfig } from "vitest/config";

const common = {
  resolve: { conditions: ["ankurah-source"] },
  ssr: { resolve: { conditions: ["ankurah-source"], externalConditions: ["ankurah-source"] } },
};
const react = "react/test/**/*.test.tsx";
const limits = { testTimeout: 15_000, hookTimeout: 120_000, globalSetup: ["client/test/global.ts"] };

export default defineConfig({
  test: {
    projects: [
      {
        // Generated files, which stand elsewhere, import the client by its name.
        ...common,
        resolve: { ...common.resolve, alias: { "@ankurah/client": import.meta.dirname + "/client/src/index.ts" } },
        test: { ...limits, name: "client", include: ["client/test/**/*.test.ts"] },
      },
      { ...common, test: { ...limits, name: "react", env: { REACT: "19" }, include: [react, "react/test/**/*.test.ts"] } },
      {
        // The oldest React that the hooks promise to work with.
        ...common,
        resolve: { ...common.resolve, alias: [{ find: /^react(-dom)?(?=\/|$)/, replacement: import.meta.dirname + "/react18/node_modules/react$1" }] },
        test: { ...limits, name: "react 18.3", env: { REACT: "18.3" }, include: [react], server: { deps: { inline: [/react18/] } } },
      },
    ],
  },
});
