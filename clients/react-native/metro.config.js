const path = require("node:path");
const { getDefaultConfig, mergeConfig } = require("@react-native/metro-config");

module.exports = mergeConfig(getDefaultConfig(__dirname), {
  // @parley/client is a link to its folder; what Babel adds to its code is found here.
  watchFolders: [path.join(__dirname, "../js")],
  resolver: { nodeModulesPaths: [path.join(__dirname, "node_modules")] },
});
