// Builds src/blendshape into one module that the engine serves, for pages other than ours.

import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const SOURCES = "src/blendshape";

/** So that a test notices when the module is stale. */
function digest() {
  const hash = createHash("sha256");
  for (const name of readdirSync(SOURCES).sort()) hash.update(readFileSync(join(SOURCES, name)));
  return hash.digest("hex");
}

export default {
  input: join(SOURCES, "index.ts"),
  output: {
    file: "../../engine/assets/blendshape.js",
    format: "esm",
    minify: true,
    postBanner: `// Made by "make web" from gateway/web/${SOURCES}, sha256 ${digest()}`,
  },
};
