// Builds the element twice: as the package's module, and (`--mode script`) as the gateway serves it.

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineConfig, type Plugin, type UserConfig } from "vite";

const SDK = "zego-express-engine-webrtc";
const SERVED = "../../gateway/web/dist/clients/v1";
const TARGET = ["chrome123", "edge123", "firefox121", "safari17.5"];
const SOURCES = ["../js/package.json", "../js/src", "package.json", "src", "tsconfig.json", "vite.config.ts"];

/** Records the digests of what the script is built from, so that a test notices when it is stale. */
function manifest(): Plugin {
  return {
    name: "sources-manifest",
    apply: "build",
    closeBundle() {
      const digests = Object.fromEntries(
        SOURCES.flatMap(filesOf).map((path) => [path, createHash("sha256").update(readFileSync(path)).digest("hex")]),
      );
      writeFileSync(join(SERVED, "sources.json"), `${JSON.stringify(digests, null, 1)}\n`);
    },
  };
}

function filesOf(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => filesOf(join(path, name)));
}

const PACKAGE: UserConfig = {
  build: {
    target: TARGET,
    // tsc has written the types there.
    emptyOutDir: false,
    minify: false,
    lib: { entry: "src/index.ts", formats: ["es"], fileName: "index" },
    rollupOptions: { external: /^@parley\/client/ },
  },
};

/** One file, with the worklet and the vendor's SDK beside it; the names stay for as long as the version. */
const SCRIPT: UserConfig = {
  base: "./",
  build: {
    target: TARGET,
    outDir: SERVED,
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    rollupOptions: {
      input: "src/script.ts",
      external: [SDK],
      // A script has none; Vite would pass it to a helper that does not need it.
      transform: { define: { "import.meta": "{}" } },
      output: {
        format: "iife",
        entryFileNames: "parley.js",
        assetFileNames: "[name][extname]",
        // An import() in a script is relative to that script.
        paths: { [SDK]: "./zego-express-engine.js" },
      },
    },
  },
  plugins: [manifest()],
};

const VENDOR: UserConfig = {
  build: {
    target: TARGET,
    outDir: SERVED,
    emptyOutDir: false,
    chunkSizeWarningLimit: 2500,
    rollupOptions: {
      input: "src/vendor.ts",
      preserveEntrySignatures: "strict",
      output: { format: "es", entryFileNames: "zego-express-engine.js" },
    },
  },
};

const CONFIGS: Record<string, UserConfig> = { production: PACKAGE, script: SCRIPT, vendor: VENDOR };

export default defineConfig(({ mode }) => CONFIGS[mode] ?? PACKAGE);
