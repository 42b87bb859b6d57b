// The plugin: web/README.md says what it is for.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compressFolder } from "./brotli.js";
import { Development, shown } from "./dev.js";
import { buildWasm, readWasmExec } from "./go.js";
import { writeServiceWorker } from "./offline.js";
import { Server } from "./server.js";

const page = "virtual:ankurah";
const exec = "virtual:ankurah/wasm_exec.js";
const here = (name) => fileURLToPath(new URL(name, import.meta.url));

// Vite's own, which a list replaces.
const conditions = ["module", "browser", "development|production"];
const ours = ["@ankurah/client", "@ankurah/react", "@ankurah/vite", "@ankurah/worker"];

export function ankurah({ node = "./node", flags = [], ldflags = "-s -w", env = {}, brotli = true, offline = true, server } = {}) {
  let config;
  let dev;
  let built; // by vite build
  const what = () => ({ cwd: config.root, pkg: node, flags, env });
  const file = () => join(config.cacheDir, "ankurah/node.wasm");
  const build = () => buildWasm({ ...what(), ldflags, file: file(), small: !dev, warn: (text) => config.logger.warn(text) });

  return {
    name: "ankurah",

    config: (user) => ({
      resolve: {
        conditions: [...(user.resolve?.conditions ? [] : conditions), "ankurah-source"],
        // Packages that are linked have no React of their own.
        dedupe: ["react", "react-dom", ...ours],
      },
      optimizeDeps: { exclude: ours },
      build: { rolldownOptions: { checks: { pluginTimings: false } } }, // compiling and compressing take most of a build
      worker: { format: "es", plugins: () => [wasmExec(() => config.root)] },
    }),

    configResolved(resolved) {
      config = resolved;
      config.server.fs.allow.push(here("."));
    },

    buildStart() {
      if (config.command !== "build") return;
      built = build();
      built.catch(() => {}); // load says it
    },

    configureServer(vite) {
      dev = new Development({ vite, config, what: what(), build });
      if (server) new Server({ vite, config, pkg: server.package, args: server.args, env });
    },

    resolveId: (id) => (id === page ? `\0${page}` : wasmExec().resolveId(id)),

    async load(id) {
      if (id !== `\0${page}`) return wasmExec(() => config.root).load(id);
      const { hash } = await (dev ? dev.get() : built).catch((error) => this.error(shown(error, config.root)));
      return `import { nodeOf } from ${JSON.stringify(here("page.js"))};
import script from ${JSON.stringify(here("worker.js") + "?worker&url")};
${dev ? `const wasm = ${JSON.stringify(`${config.base}@ankurah/${hash}.wasm`)};` : `import wasm from ${JSON.stringify(file() + "?url")};`}
export const build = ${JSON.stringify(hash)};
export const node = nodeOf({ script, wasm, build, sw: ${dev || !offline ? "undefined" : 'import.meta.env.BASE_URL + "sw.js"'} });`;
    },

    async writeBundle({ dir }) {
      if (offline) await writeServiceWorker(dir, here("service-worker.js"));
      const quality = Number(process.env.ANKURAH_BROTLI ?? (brotli === true ? 11 : brotli));
      if (quality) await compressFolder(dir, { quality, cache: join(config.cacheDir, "ankurah/brotli") });
    },
  };
}

/** Gives workers the wasm_exec.js that came with the compiler. */
function wasmExec(root) {
  return {
    name: "ankurah:wasm-exec",
    resolveId: (id) => (id === exec ? `\0${exec}` : undefined),
    load: (id) => (id === `\0${exec}` ? readWasmExec(root()) : undefined),
  };
}
