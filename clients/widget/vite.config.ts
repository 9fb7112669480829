// Builds the element twice: as the package's module, and (`--mode script`) as the gateway serves it.

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { defineConfig, type Plugin, type UserConfig } from "vite";

const SDK = "zego-express-engine-webrtc";
const SERVED_SDK = "zego-express-engine.js";
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

/** An import() in a script of another origin has nothing to be relative to. */
function absoluteSdk(): Plugin {
  const address = JSON.stringify(resolve("src/script_address.ts"));
  const imported = `import("${SDK}")`;
  return {
    name: "absolute-sdk",
    transform(code, id) {
      if (!id.endsWith("/players/zego.js")) return undefined;
      if (!code.includes(imported)) this.error(`there is no ${imported}`);
      const url = `new URL(${JSON.stringify(SERVED_SDK)}, address).href`;
      return `import { address } from ${address};\n${code.replace(imported, `import(/* @vite-ignore */ ${url})`)}`;
    },
  };
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
      // A script has none; Vite would pass it to a helper that does not need it.
      transform: { define: { "import.meta": "{}" } },
      output: {
        format: "iife",
        entryFileNames: "parley.js",
        assetFileNames: "[name][extname]",
      },
    },
  },
  plugins: [absoluteSdk(), manifest()],
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
      output: { format: "es", entryFileNames: SERVED_SDK },
    },
  },
};

const CONFIGS: Record<string, UserConfig> = { production: PACKAGE, script: SCRIPT, vendor: VENDOR };

export default defineConfig(({ mode }) => CONFIGS[mode] ?? PACKAGE);
