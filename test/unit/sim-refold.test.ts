// What the simulation says of a controller that holds another state than the log gives, and of buckets that differ from it.
import { beforeEach, describe, expect, it } from "vitest";
import { emptyState, foldRecord } from "../../services/core/fold/fold.ts";
import type { State } from "../../services/core/model.ts";
import { Observer } from "../simulation/observer.ts";
import { Refold } from "../simulation/refold.ts";
import { Troubles } from "../simulation/troubles.ts";
import type { World } from "../simulation/world/world.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

const encoder = new TextEncoder();

let now: number;
let observer: Observer;
let troubles: Troubles;
let cluster: TestCluster;

const messages = (): string[] => observer.violations.map(({ message }) => message);

/** The log as somebody folds it who reads up to there. */
function folded(upTo = Infinity): State {
  const state = emptyState();
  for (const { sequence, event } of cluster.log) if (sequence <= upTo) foldRecord(state, { sequence, event });
  return state;
}

function observe(from = 0, to = Infinity): void {
  for (const { sequence, event } of cluster.log) {
    if (sequence > from && sequence <= to) observer.onRecord({ sequence, data: encoder.encode(JSON.stringify(event)) });
  }
}

beforeEach(() => {
  now = 0;
  troubles = new Troubles(() => now);
  observer = new Observer(
    () => now,
    troubles,
    () => [],
  );
  cluster = new TestCluster({ n1: {} });
  cluster.apply(workloadManifest("web", { replicas: 2 }));
  cluster.converge();
});

describe("a controller's state", () => {
  let again: Refold;
  const compare = (leads: boolean, ...states: State[]): boolean => {
    const controllers = states.map((state, index) => ({ name: `controller-${index + 1}`, leads, view: { state } }));
    return again.compare({ observer, controllers } as unknown as World);
  };
  const other = (): State => Object.assign(folded(), { lastEventId: "another" });

  beforeEach(() => {
    observe();
    again = new Refold();
  });

  it("is blamed for what it holds otherwise, be it a leader's or a standby's that is behind", () => {
    const half = Math.floor(cluster.state.sequence / 2);
    expect(compare(true, folded(), folded(half))).toBe(true);
    expect(messages()).toEqual([]);
    again = new Refold();
    const [early, late] = [folded(half), folded()];
    for (const { nodes } of [early, late]) nodes.get("n1")!.reason = "another";
    expect(compare(false, late, early)).toBe(false);
    expect(messages()).toEqual([
      expect.stringContaining(`controller-2 has folded record ${half} to another state`),
      expect.stringContaining(`controller-1 has folded record ${cluster.state.sequence} to another state`),
    ]);
  });

  it("may be of a log that was lost, but not a leader's where nothing was", () => {
    compare(false, other());
    expect(messages()).toEqual([]);
    compare(true, other());
    expect(messages()).toEqual([expect.stringContaining("leads, and holds event")]);
  });

  it("is let off when it read what a power cut has taken, event or stray, and holds what was there before", () => {
    compare(true, folded());
    const { sequence } = cluster.state;
    observer.forget(sequence - 1);
    observe(0, sequence - 1);
    const stray = folded(sequence - 1);
    foldRecord(stray, { sequence, event: undefined });
    for (const state of [folded(), stray, Object.assign(folded(sequence - 1), { lastEventId: "another" })])
      compare(true, state);
    expect(messages()).toEqual([]);
    const wrong = folded(sequence - 1);
    wrong.nodes.get("n1")!.reason = "another";
    compare(true, wrong);
    expect(messages()).toHaveLength(1);
  });
});

it("a stray record that is gone from the log may have been counted, or not; another must be", () => {
  const { sequence } = cluster.state;
  observe(0, sequence - 1);
  observer.onStray();
  observer.onStray();
  observer.onRecord({ sequence, data: encoder.encode("stray") });
  observer.onRecord({ sequence: sequence + 1, data: encoder.encode("stray") });
  const counted = (...strays: number[]): State => {
    const state = folded(sequence - 1);
    for (const stray of strays) foldRecord(state, { sequence: stray, event: undefined });
    return Object.assign(state, { sequence: sequence + 1 });
  };
  const refold = new Refold();
  const compare = (state: State): void => {
    const controllers = [{ name: "controller-1", leads: true, view: { state } }];
    refold.compare({ observer, controllers } as unknown as World);
  };
  observer.gone.add(sequence);
  compare(counted(sequence, sequence + 1));
  compare(counted(sequence + 1));
  expect(messages()).toEqual([]);
  compare(counted());
  expect(messages()).toHaveLength(1);
});

describe("buckets that say nothing of what is in the log", () => {
  let projections: number;
  let powerCuts: number;
  let meddled: number;
  let again: Refold;

  const lookAt = (at: number): number => {
    now = at;
    const state = folded();
    const controllers = [{ name: state.leader, leads: true, view: { state, queues: { projections } } }];
    const server = { keys: { values: () => new Map() }, counters: { powerCuts } };
    again.look({ observer, controllers, server, timeline: { now }, troubles, meddled } as unknown as World);
    return messages().filter((message) => message.includes("while the leader has nothing to write")).length;
  };

  beforeEach(() => {
    observe();
    projections = 0;
    powerCuts = 1;
    meddled = 0;
    again = new Refold();
  });

  it("are blamed when they do so for half a minute, once", () => {
    expect(lookAt(0)).toBe(0);
    expect(lookAt(29_999)).toBe(0);
    const found = lookAt(30_000);
    expect(found).toBeGreaterThan(0);
    expect(lookAt(31_000)).toBe(found);
    powerCuts = 2;
    const again = lookAt(32_000);
    expect(again).toBeGreaterThan(found);
    meddled = 1;
    expect(lookAt(33_000)).toBeGreaterThan(again);
  });

  it("are not looked at where neither a power cut nor a hand edit nor two hundred records were since", () => {
    powerCuts = 0;
    expect([lookAt(0), lookAt(30_000)]).toEqual([0, 0]);
    observer.records = 200;
    lookAt(40_000);
    const found = lookAt(70_000);
    expect(found).toBeGreaterThan(0);
    observer.records = 399;
    expect(lookAt(80_000)).toBe(found);
    observer.records = 400;
    expect(lookAt(90_000)).toBeGreaterThan(found);
  });

  it("are waited for anew where the leader had to write meanwhile", () => {
    lookAt(0);
    projections = 1;
    expect(lookAt(20_000)).toBe(0);
    projections = 0;
    expect(lookAt(30_000)).toBe(0);
    expect(lookAt(59_999)).toBe(0);
    expect(lookAt(60_000)).toBeGreaterThan(0);
  });

  it.each(["the leader", "bus"])("are let off where something was wrong with %s", (place) => {
    lookAt(0);
    now = 5000;
    troubles.begin(place === "bus" ? place : folded().leader, "cut")();
    expect(lookAt(35_000)).toBe(0);
    expect(lookAt(35_001)).toBeGreaterThan(0);
  });
});
