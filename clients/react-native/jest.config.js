const path = require("node:path");

module.exports = {
  preset: "@react-native/jest-preset",
  // @parley/client is a link to its folder; what Babel adds to its code is found here.
  modulePaths: ["<rootDir>/node_modules"],
  roots: ["<rootDir>/tests", path.join(__dirname, "../js/dist")],
  testMatch: ["<rootDir>/tests/**/*.test.{ts,tsx}"],
  setupFilesAfterEnv: ["<rootDir>/tests/setup.ts"],
  // Nothing here takes that long, except on a machine that does much else.
  testTimeout: 60_000,
  transformIgnorePatterns: ["node_modules/(?!(@react-native|react-native|@react-native-community)[/-])"],
  moduleNameMapper: {
    "^react-native$": require.resolve("react-native"),
    // The native sides of libraries, which a machine without a phone does not have.
    "^react-native-webrtc$": "<rootDir>/tests/native/webrtc.ts",
    "^zego-express-engine-reactnative$": "<rootDir>/tests/native/zego.ts",
  },
};
