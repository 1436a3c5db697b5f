import { expect, it } from "vitest";
import { parseStat } from "../../services/agent/runtime/process/proc.ts";

const rest = "S 1 42 42 0 -1 4194560 100 0 0 0 7 3 2 1 20 0 1 0 5555 1000 10 18446744073709551615";

it("a process's line is read whatever its name holds", () => {
  for (const name of ["sh", "a b", "x) S 1 2", "()", ""]) {
    expect(parseStat(`17 (${name}) ${rest}\n`)).toEqual({ pid: 17, group: 42, startTicks: 5555, cpuMs: 130 });
  }
});

it("a zombie of which threads are left still runs", () => {
  expect(parseStat(`17 (sh) ${rest.replace("S", "Z").replace("20 0 1 0", "20 0 2 0")}`)).toMatchObject({ pid: 17 });
});

it("a zombie and a torn line are no process", () => {
  expect(parseStat(`17 (sh) ${rest.replace("S", "Z")}`)).toBeNull();
  expect(parseStat("")).toBeNull();
  expect(parseStat("17 (sh) S 1 42")).toBeNull();
});
