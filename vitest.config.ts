import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer } from "vitest/node";
import type { TestSpecification } from "vitest/node";
import { SecondTries, secondTry } from "./test/support/second-tries.ts";

/** Tests on real servers, engines and processes, whose machine may be shared and starved for a moment. */
const real = [
  "test/conformance/**/*.test.ts",
  "test/integration/**/*.test.ts",
  "test/e2e/**/*.test.ts",
  "test/faults/**/*.test.ts",
  "test/faults/*.short.fault.ts",
];

/** Files are small where their suites are shared, and small files come last: these would go on alone when all else is over. */
const longest = ["conformance/driver-docker", "e2e/autoscale-docker", "e2e/sandbox", "e2e/backup", "e2e/demo"];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): boolean => longest.some((name) => moduleId.includes(name));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

/** In CI, whose machine is shared; the report names it. */
const retry = process.env["CI"] === undefined ? 0 : secondTry;

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    reporters: ["default", new SecondTries()],
    globalSetup: "test/support/global-setup.ts",
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Integration and e2e tests mostly wait, for servers, engines and deadlines: four at a time keep two cores busy. With five
    // those that measure the CPU of containers fail.
    maxWorkers: 4,
    projects: [
      // Pure functions share nothing, so their files may share the modules: half of the time went into loading them anew.
      {
        extends: true,
        test: { name: "pure", isolate: false, include: ["test/{unit,property,scenario,simulation}/**/*.test.ts"] },
      },
      { extends: true, test: { name: "real", include: real, retry } },
      // What test/faults/REPORT.md is made of: each fault on each server, one after the other. CI runs one turn of it.
      {
        extends: true,
        test: {
          name: "faults",
          include: ["test/faults/**/*.test.ts", "test/faults/*.fault.ts"],
          exclude: ["test/faults/report.test.ts", "test/faults/turn.test.ts"],
          env: {
            SWAIN_FAULTS: process.env["SWAIN_FAULTS"] ?? "all",
            SWAIN_FAULTS_OUT: process.env["SWAIN_FAULTS_OUT"] ?? join(import.meta.dirname, "test/faults/runs"),
          },
          fileParallelism: false,
          retry,
        },
      },
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
