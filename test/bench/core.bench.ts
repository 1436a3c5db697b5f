// Placements a second of the pure core: from the applied workload to every pod placed, planned, checked and folded, as the
// leader does it between two appends. No bus, no I/O.
import { describe, it } from "vitest";
import type { Event, EventItem } from "../../schemas/generated/types.ts";
import { admitApply } from "../../services/core/admit/apply.ts";
import { check } from "../../services/core/check.ts";
import { emptyState, foldRecord } from "../../services/core/fold/fold.ts";
import type { State } from "../../services/core/model.ts";
import { plan } from "../../services/core/plan/plan.ts";
import type { View } from "../../services/core/view.ts";
import { facts, workloadManifest } from "../support/core.ts";
import { record } from "./support/report.ts";

const rounds = 3;
const podsPerNode = 10;

describe("placements of the core", () => {
  it.each([100, 1000, 5000])("on %i nodes", (nodes) => {
    const rates: number[] = [];
    for (let round = 0; round < rounds; round++) rates.push(placementsPerSecond(nodes));
    record("Core: placements, planned, checked and folded", `${nodes} nodes, ${nodes * podsPerNode} pods`, "/s", rates);
  });
});

function placementsPerSecond(nodes: number): number {
  const state = emptyState();
  write(state, "election", [
    { kind: "cluster", verb: "created", name: "uid" },
    { kind: "leader", verb: "elected", name: "c1" },
  ]);
  const ids = Array.from({ length: nodes }, (_, index) => `node-${index}`);
  for (let from = 0; from < nodes; from += 500) {
    const some = ids.slice(from, from + 500);
    write(
      state,
      "register",
      some.map((name): EventItem => ({ kind: "node", verb: "registered", name, facts: facts({ host: name }) })),
    );
  }
  const view: View = {
    now: 1_000_000,
    termAgeMs: 60_000,
    before: { time: 0, agoMs: 60_000 },
    heardAgoMs: new Map(ids.map((id) => [id, 0])),
    troubles: new Map(ids.map((id) => [id, null])),
    proxies: [],
    writtenAgoMs: new Map(),
    lateAgoMs: new Map(),
    logReplicated: false,
    renewedAgoMs: new Map(),
    isDeaf: false,
  };
  // Ten workloads, as no cluster of this size has only one.
  const pods = nodes * podsPerNode;
  const requests = { cpu: "100m", memory: "64Mi" };
  const container = { name: "main", sim: {}, resources: { requests } };
  const manifests = Array.from({ length: 10 }, (_, index) =>
    workloadManifest(`web-${index}`, { replicas: pods / 10, containers: [container] }),
  );
  const { items } = admitApply(state, manifests);
  write(state, "api", items);
  const began = performance.now();
  for (;;) {
    const next = plan(state, view, "all");
    if (next.items.length === 0) break;
    const violations = check(state, next.items, view);
    if (violations.length > 0) throw new Error(JSON.stringify(violations[0]));
    write(state, next.cause, next.items);
  }
  const seconds = (performance.now() - began) / 1000;
  const placed = [...state.pods.values()].filter((pod) => pod.node !== null).length;
  if (placed !== pods) throw new Error(`${placed} of ${pods} pods were placed`);
  return placed / seconds;
}

function write(state: State, cause: string, items: readonly EventItem[]): void {
  const sequence = state.sequence + 1;
  const election = cause === "election";
  const event: Event = {
    schema: 1,
    logId: "log1",
    epoch: election ? sequence : state.epoch,
    id: `e${sequence}`,
    prev: state.lastEventId,
    time: 1_000_000,
    cause,
    items: [...items],
  };
  // The leader folds what it appended after a round through JSON.
  const stored = JSON.parse(JSON.stringify(event)) as unknown;
  if (foldRecord(state, { sequence, event: stored }).outcome !== "accepted") throw new Error("the fold refused");
}
