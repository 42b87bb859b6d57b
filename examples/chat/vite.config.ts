import { ankurah } from "@ankurah/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Where the server listens while vite runs it. The page is on vite's own address.
const server = "127.0.0.1:8081";

export default defineConfig({
  plugins: [
    react(),
    ankurah({
      node: "./node",
      server: { package: "./server", args: ["-listen", server, "-data", "./data", "-files", "."] },
    }),
  ],
  server: {
    proxy: {
      "/ankurah": { target: `ws://${server}`, ws: true },
      "/pages": { target: `ws://${server}`, ws: true },
      "/signin": `http://${server}`,
    },
  },
});
