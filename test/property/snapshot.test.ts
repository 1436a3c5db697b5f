// A snapshot stands for the log up to it: whoever folds on from it comes to the state of whoever folded it all.
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nodeAssignment } from "../../services/core/assignment.ts";
import { emptyState, foldRecord } from "../../services/core/fold/fold.ts";
import type { State } from "../../services/core/model.ts";
import { Decoder } from "../../services/core/snapshot/decode.ts";
import { encodeState } from "../../services/core/snapshot/encode.ts";
import { command, run, start } from "../support/scripts.ts";
import type { Command } from "../support/scripts.ts";

function decoded(lines: Iterable<string>): State {
  const decoder = new Decoder();
  for (const line of lines) decoder.line(line);
  return decoder.end();
}

const fold = (state: State, record: { sequence: number; event: unknown }): string =>
  foldRecord(state, structuredClone(record)).outcome;

const text = (state: State): string => [...encodeState(state)].join("\n");

/** Serving pods and a proxy, so that what follows has something to take away. */
const prelude: readonly Command[] = [
  { type: "service", name: "web" },
  {
    type: "apply",
    name: "web",
    image: 1,
    replicas: 4,
    hostPort: false,
    cpu: 1,
    label: "a",
    policy: "Always",
    fence: false,
    onNodeLost: "hold",
    isZoned: false,
  },
  { type: "obey" },
  { type: "watched" },
  { type: "register", name: "web", pick: 1 },
];
const long = fc.array(command, { minLength: 10, maxLength: 60, size: "max" });

describe("a snapshot", () => {
  it("taken anywhere in any log leads to the same state as the whole log, in everything and in every order", () => {
    fc.assert(
      fc.property(long, fc.nat(9), (script, from) => {
        const cluster = start();
        for (const step of [...prelude, ...script]) run(cluster, step);
        const whole = emptyState();
        let restored: State | undefined;
        for (const [index, record] of cluster.log.entries()) {
          const outcome = fold(whole, record);
          if (restored !== undefined) expect(fold(restored, record)).toBe(outcome);
          // From time to time the one that is folded on is a snapshot of a snapshot.
          if (index % 10 !== from) continue;
          const lines = [...encodeState(whole)];
          restored = decoded(restored === undefined ? lines : encodeState(restored));
          expect(text(restored)).toBe(lines.join("\n"));
        }
        if (restored === undefined) return;
        expect(text(restored)).toBe(text(whole));
        // What the lines might leave out. Nested maps of this size are beyond the matcher's patience.
        for (const part of Object.keys(whole) as (keyof State)[]) {
          expect(isDeepStrictEqual(restored[part], whole[part]), part).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("of before templates had the id of their event is read, and says of none which it is", () => {
    const cluster = start();
    for (const step of prelude) run(cluster, step);
    const lines = [...encodeState(cluster.state)];
    const older = lines.map((line) => line.replace(/"eventId":"[^"]*",/g, ""));
    expect(older).not.toEqual(lines);
    const state = decoded(older);
    expect([...encodeState(state)]).toEqual(older);
    const told = [...state.nodes.keys()].flatMap((node) => nodeAssignment(state, node));
    expect(told.length).toBeGreaterThan(0);
    expect(told.every(({ templateId }) => templateId === undefined)).toBe(true);
  });

  it("is refused when a line is missing, twice there, damaged or of another version", () => {
    const cluster = start();
    const [header = "", ...lines] = encodeState(cluster.state);
    expect(lines.length).toBeGreaterThan(4);
    const damaged = {
      "a line less": [header, ...lines.slice(1)],
      "no header": lines,
      "two headers": [header, header, ...lines],
      "half a line": [header, (lines[0] ?? "").slice(0, 40), ...lines.slice(1)],
      "another format": [header.replace('"format":1', '"format":2'), ...lines],
      "a kind nobody knows": [header, ...lines, '{"ghost":{}}'],
      "a number for a name": [header.replace('"logId":"log1"', '"logId":1'), ...lines],
      nothing: [],
    };
    for (const [what, some] of Object.entries(damaged)) {
      expect(() => decoded(some), what).toThrow(expect.objectContaining({ code: "SNAPSHOT_BROKEN" }));
    }
  });
});
