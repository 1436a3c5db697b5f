// Whatever happens to a cluster, in whatever order, the invariants hold. Commands are drawn by fast-check and shrunk by it.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bucketOrder } from "../../services/bus/subjects.ts";
import { admitMode } from "../../services/core/admit/node.ts";
import { emptyState, foldRecord } from "../../services/core/fold/fold.ts";
import type { State } from "../../services/core/model.ts";
import { plan } from "../../services/core/plan/plan.ts";
import { projection, projectionKeys, touchedKeys } from "../../services/core/project.ts";
import { isDraining, isEndpoint, isLive } from "../../services/core/transitions.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";
import { nodes, run, scripts, start } from "../support/scripts.ts";

function holdInvariants(cluster: TestCluster): void {
  const { state } = cluster;
  const slots = new Set<string>();
  const fixedPorts = new Set<string>();
  const beside = new Map<string, { pods: string[]; isFenced: boolean }>();
  const reserved = new Map(nodes.map((id) => [id, 0]));
  const holding = new Map(nodes.map((id) => [id, 0]));
  for (const pod of state.pods.values()) {
    const workload = state.workloads.get(pod.workload);
    const template = workload?.templates.get(pod.template);
    expect(workload, `${pod.key} has its workload`).toBeDefined();
    expect(template, `${pod.key} has its template`).toBeDefined();
    if (isLive(pod)) {
      // A pod that is to leave a draining node stands beside its copy for a while.
      const slot = `${pod.workload}#${pod.slot}@${pod.template}${isDraining(state, pod) ? pod.name : ""}`;
      expect(slots.has(slot), `one living pod per slot and template: ${slot}`).toBe(false);
      slots.add(slot);
    }
    if (pod.held !== null) {
      expect(pod.unheard, `${pod.key} is held though its node is heard`).toBe(true);
      expect(isEndpoint(pod)).toBe(false);
    }
    if (pod.node === null || pod.ended) continue;
    if (pod.state !== "lost") {
      const slot = `${pod.workload}#${pod.slot}`;
      const { pods, isFenced } = beside.get(slot) ?? { pods: [], isFenced: false };
      const all = { pods: [...pods, pod.name], isFenced: isFenced || template?.spec.fence === true };
      if (all.isFenced) expect(all.pods, `a fence lets no two be in ${slot}`).toHaveLength(1);
      beside.set(slot, all);
    }
    reserved.set(pod.node, (reserved.get(pod.node) ?? 0) + (template?.requests.cpuMillis ?? 0));
    holding.set(pod.node, (holding.get(pod.node) ?? 0) + 1);
    for (const port of template?.hostPorts ?? []) {
      const id = `${pod.node}:${port}`;
      expect(fixedPorts.has(id), `a fixed port is held once: ${id}`).toBe(false);
      fixedPorts.add(id);
    }
  }
  for (const record of state.nodes.values()) {
    expect(record.reserved.cpuMillis, `reserved on ${record.id}`).toBe(reserved.get(record.id));
    expect(record.holding, `pods that hold room on ${record.id}`).toBe(holding.get(record.id));
    expect(record.reserved.cpuMillis).toBeLessThanOrEqual(record.facts.capacity.cpuMillis);
    if (record.state === "unknown") expect(record.reason, `why ${record.id} is unknown`).not.toBe("");
    else expect(record.reason, `trouble of ${record.id}`).toBe(cluster.troubles.get(record.id)?.reason ?? "");
  }
  for (const service of state.services.values()) {
    const workload = `${service.namespace}/${service.spec.selector?.workload}`;
    const external = [...service.shards.values()].flatMap((shard) => [...shard.external]).toSorted();
    const registered = [...state.external.values()].filter(({ service: of }) => of === `default/${service.name}`);
    expect(external, `external endpoints of ${service.name}`).toEqual(registered.map(({ id }) => id).toSorted());
    for (const { id, ttlMs } of registered) {
      expect(cluster.now - (cluster.renewedAt.get(id) ?? 0), `${id} is not expired`).toBeLessThan(ttlMs);
    }
    const named = [...service.shards.values()].flatMap((shard) => [...shard.pods]).toSorted();
    const ready = [...state.pods.values()].filter((pod) => pod.workload === workload && isEndpoint(pod));
    expect(named, `endpoints of ${service.name}`).toEqual(ready.map((pod) => pod.key).toSorted());
  }
}

const projections = (state: State): Map<string, string | null> =>
  new Map(
    bucketOrder.flatMap((bucket) =>
      projectionKeys(state, bucket).map((key) => [`${bucket}/${key}`, projection(state, bucket, key)] as const),
    ),
  );

describe("a cluster through any script", () => {
  it("never breaks an invariant, and every plan passes the checker", () => {
    fc.assert(
      fc.property(scripts, (script) => {
        const cluster = start();
        for (const step of script) {
          run(cluster, step);
          cluster.settle();
          holdInvariants(cluster);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("comes to rest when faults stop: the wished replicas are ready, and then nothing is done", () => {
    fc.assert(
      fc.property(scripts, (script) => {
        const cluster = start();
        for (const step of script) run(cluster, step);
        cluster.silent.clear();
        cluster.troubles.clear();
        cluster.proxies = [];
        for (const id of nodes) {
          if (!cluster.state.nodes.has(id)) cluster.join(id);
          cluster.write("api", admitMode(cluster.state, id, "uncordoned").items);
        }
        cluster.pass(2000);
        cluster.converge();
        for (const workload of cluster.state.workloads.values()) {
          expect(workload.deleting).toBe(false);
          const pods = cluster.pods(`${workload.namespace}/${workload.name}`).filter(isLive);
          // A change that found no room for its new pod leaves that pod waiting beside the old one.
          expect(new Set(pods.map((pod) => pod.slot)).size).toBe(workload.spec.replicas);
          for (const pod of pods) {
            const why = pod.state === "pending" ? pod.reason : "ready";
            const done = pod.state === "ready" || pod.state === "stopped" || pod.state === "failed";
            expect(done || why === "UNSCHEDULABLE", `${pod.key} is ${pod.state} ${why}`).toBe(true);
          }
        }
        expect(plan(cluster.state, cluster.view(), "all").items).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  it("has the same state and the same projections when its log is folded again", () => {
    fc.assert(
      fc.property(scripts, (script) => {
        const cluster = start();
        for (const step of script) run(cluster, step);
        const again = emptyState();
        for (const record of cluster.log) foldRecord(again, structuredClone(record));
        expect(again).toEqual(cluster.state);
        expect(projections(again)).toEqual(projections(cluster.state));
      }),
      { numRuns: 60 },
    );
  });

  it("names every projection an event changed, and gives it that event's sequence", () => {
    fc.assert(
      fc.property(scripts, (script) => {
        const cluster = start();
        // A restored log is projected anew as a whole, by the leader that then comes.
        for (const step of script) if (step.type !== "restore") run(cluster, step);
        const state = emptyState();
        let before = projections(state);
        for (const record of cluster.log) {
          const { touched } = foldRecord(state, structuredClone(record));
          const named = new Set(touchedKeys(touched).map(({ bucket, key }) => `${bucket}/${key}`));
          const after = projections(state);
          for (const key of new Set([...before.keys(), ...after.keys()])) {
            const value = after.get(key) ?? null;
            if ((before.get(key) ?? null) === value) continue;
            expect(named.has(key), `${key} changed at ${record.sequence} unnamed`).toBe(true);
            if (value !== null) expect(JSON.parse(value).sequence, key).toBe(record.sequence);
          }
          // What was applied is kept in few revisions, which nothing else may push out.
          const idle = [...named].filter((one) => /^desired.workload/.test(one) && after.get(one) === before.get(one));
          expect(idle, `named at ${record.sequence}`).toEqual([]);
          before = after;
        }
      }),
      { numRuns: 60 },
    );
  });

  it("does not care in which order the nodes joined", () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(nodes, { minLength: 5 }), fc.integer({ min: 1, max: 20 }), (order, replicas) => {
        const placed = (ids: string[]): unknown => {
          const cluster = new TestCluster(Object.fromEntries(ids.map((id) => [id, {}])));
          cluster.apply(workloadManifest("web", { replicas }));
          return cluster.pods().map((pod) => [pod.name, pod.node]);
        };
        expect(placed(order)).toEqual(placed(nodes));
      }),
    );
  });

  it("spreads so that equal nodes differ by at most one pod", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), (replicas) => {
        const cluster = start();
        cluster.apply(workloadManifest("web", { replicas }));
        const counts = nodes.map((id) => cluster.state.nodes.get(id)?.pods.size ?? 0);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      }),
    );
  });
});
