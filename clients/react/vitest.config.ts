import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.tsx"],
    environment: "happy-dom",
    // The gateway is another origin than the page.
    environmentOptions: { happyDOM: { settings: { fetch: { disableSameOriginPolicy: true } } } },
    // Sooner than a call that nobody sees ends by itself.
    testTimeout: 20_000,
    silent: "passed-only",
  },
});
