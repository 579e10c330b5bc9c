// Builds the page into the Python package, which serves it.
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    outDir: "../tapeline_board/static",
    emptyOutDir: true,
    // A data: URL would need a wider content security policy.
    assetsInlineLimit: 0,
    // Vite's helper for older browsers would add an inline script.
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    target: "es2023",
  },
  server: {
    // `npm run dev` beside a running board: BOARD_URL=http://127.0.0.1:PORT.
    proxy: { "/api": process.env["BOARD_URL"] ?? "http://127.0.0.1:8080" },
  },
});
