import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/support/global-setup.ts",
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Integration and e2e tests start real servers and engines; two at a time is what two cores carry.
    maxWorkers: 2,
    reporters: ["default"],
  },
});
