// Bundles what cannot be a module among others: the microphone's module for the audio thread, which
// bundlers copy as it is, and the face that engines serve to pages.

import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const BLENDSHAPE = "src/blendshape";

/** So that a test notices when the module is stale. */
function digest() {
  const hash = createHash("sha256");
  for (const name of readdirSync(BLENDSHAPE).sort()) hash.update(readFileSync(join(BLENDSHAPE, name)));
  return hash.digest("hex");
}

export default [
  {
    input: "dist/microphone/capture.worklet.js",
    output: { file: "dist/microphone/capture.worklet.js", format: "esm" },
  },
  {
    input: "dist/blendshape/index.js",
    output: {
      file: "../../engine/assets/blendshape.js",
      format: "esm",
      minify: true,
      postBanner: `// Made by "make web" from clients/js/${BLENDSHAPE}, sha256 ${digest()}`,
    },
  },
];
