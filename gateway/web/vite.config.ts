// Builds the page into dist/, which the gateway serves: `/` is index.html, `/web/` the rest.

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Plugin } from "vite";

const CLIENT = "../../clients/js";
const SOURCES = [
  `${CLIENT}/package.json`,
  `${CLIENT}/rolldown.config.js`,
  `${CLIENT}/src`,
  `${CLIENT}/tsconfig.json`,
  "index.html",
  "package-lock.json",
  "package.json",
  "public",
  "src",
  "tsconfig.json",
  "vite.config.ts",
];
const MANIFEST = "dist/sources.json";
/** Two megabytes that the widget's build puts where the gateway serves them, to pages of any site. */
const VENDOR_SDK = { "zego-express-engine-webrtc": "/clients/v1/zego-express-engine.js" };

/** Records the digests of dist/'s sources, so that a test notices when dist/ is stale. */
function manifest(): Plugin {
  return {
    name: "sources-manifest",
    apply: "build",
    closeBundle() {
      const digests = Object.fromEntries(
        SOURCES.flatMap(filesOf).map((path) => [path, createHash("sha256").update(readFileSync(path)).digest("hex")]),
      );
      writeFileSync(MANIFEST, `${JSON.stringify(digests, null, 1)}\n`);
    },
  };
}

function filesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => filesOf(join(path, name)));
}

export default defineConfig({
  base: "/web/",
  plugins: [manifest()],
  build: {
    target: ["chrome123", "edge123", "firefox121", "safari17.5"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { external: Object.keys(VENDOR_SDK), output: { paths: VENDOR_SDK } },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8080", "/clients": "http://127.0.0.1:8080" } },
});
