import { expect, test } from "vitest";
import { maxMemoryBytes, parseCpuMillis, parseDurationMs, parseMemoryBytes } from "../../services/core/quantity.ts";

test("CPU is read in cores and thousandths, as text and as a number, rounded up", () => {
  expect(["500m", "2", "0.5", "1.25", "0.001"].map(parseCpuMillis)).toEqual([500, 2000, 500, 1250, 1]);
  expect([2, 0.5, 0.29, 0.57, 1.1, 0.0001, 0].map(parseCpuMillis)).toEqual([2000, 500, 290, 570, 1100, 1, 0]);
});

test("memory is read with decimal and binary units, exactly, rounded up", () => {
  expect(["1", "1k", "1Ki", "256Mi", "1Gi", "2Ti", "1.5k", "0.001Ki"].map(parseMemoryBytes)).toEqual([
    1, 1000, 1024, 268_435_456, 1_073_741_824, 2_199_023_255_552, 1500, 2,
  ]);
  expect(parseMemoryBytes(4096)).toBe(4096);
  expect(parseMemoryBytes("1024Ti")).toBe(maxMemoryBytes);
});

test("durations are read in milliseconds", () => {
  expect(["250ms", "15s", "2m", "1h", "0s"].map(parseDurationMs)).toEqual([250, 15_000, 120_000, 3_600_000, 0]);
});

test.each([
  ["CPU", parseCpuMillis, ["", "m", "1.5m", "-1", "1e3", " 1", "1 ", "1.0001", "1Gi", "0x1"]],
  ["memory", parseMemoryBytes, ["", "Mi", "1mi", "1 Mi", "-1", "1e3", "1.0001Gi", "1m", "1KiB"]],
  ["a duration", parseDurationMs, ["", "10", "1.5s", "s", "-1s", "1d", "1s ", "1 s", "1h30m"]],
] as const)("%s in any other form is refused", (_, parse, texts) => {
  for (const text of texts)
    expect(() => parse(text), text).toThrow(expect.objectContaining({ code: "INVALID_MANIFEST" }));
});

test("a number that is no amount is refused", () => {
  for (const value of [-1, Number.NaN, Infinity]) expect(() => parseCpuMillis(value)).toThrow("is no amount of CPU");
  for (const value of [-1, 1.5, Infinity]) expect(() => parseMemoryBytes(value)).toThrow("is no amount of memory");
});
