import { defineConfig } from "vitest/config";

/** Tests on real servers, engines and processes, whose machine may be shared and starved for a moment. */
const real = [
  "test/conformance/**/*.test.ts",
  "test/integration/**/*.test.ts",
  "test/e2e/**/*.test.ts",
  "test/faults/**/*.test.ts",
];

export default defineConfig({
  test: {
    globalSetup: "test/support/global-setup.ts",
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Integration and e2e tests mostly wait, for servers, engines and deadlines: three at a time keep two cores busy.
    maxWorkers: 3,
    projects: [
      { extends: true, test: { name: "pure", include: ["test/{unit,property,scenario,simulation}/**/*.test.ts"] } },
      // A second try in CI, which the report names: a test that fails twice is broken, one that fails once met a stall.
      { extends: true, test: { name: "real", include: real, retry: process.env["CI"] === undefined ? 0 : 1 } },
      // Measures and fails on nothing but errors; never part of the tests. One after the other, on a machine left alone.
      {
        extends: true,
        test: {
          name: "bench",
          include: ["test/bench/*.bench.ts"],
          globalSetup: "test/bench/support/report.ts",
          fileParallelism: false,
          testTimeout: 900_000,
        },
      },
    ],
  },
});
