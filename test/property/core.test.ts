// Whatever happens to a cluster, in whatever order, the invariants hold. Commands are drawn by fast-check and shrunk by it.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { admitDeregister } from "../../services/core/admit/endpoint.ts";
import { admitDelete, admitScale } from "../../services/core/admit/change.ts";
import { admitMode, admitRemoval } from "../../services/core/admit/node.ts";
import { emptyState, foldRecord } from "../../services/core/fold/fold.ts";
import type { State } from "../../services/core/model.ts";
import { plan } from "../../services/core/plan/plan.ts";
import { projection, projectionKeys, touchedKeys } from "../../services/core/project.ts";
import { isDraining, isEndpoint, isLive } from "../../services/core/transitions.ts";
import { bucketOrder } from "../../services/bus/subjects.ts";
import { isCode } from "../../services/kernel/errors.ts";
import { autoscalerManifest, serviceManifest, TestCluster, workloadManifest } from "../support/core.ts";

const nodes = ["n1", "n2", "n3", "n4", "n5"];
const names = ["web", "db"];

type Command =
  | {
      type: "apply";
      name: string;
      image: number;
      replicas: number;
      hostPort: boolean;
      cpu: number;
      label: string;
      policy: "Always" | "Never";
      fence: boolean;
      onNodeLost: "replace" | "hold";
    }
  | { type: "service" | "delete"; name: string }
  | { type: "unselect" | "forget"; name: string }
  | { type: "register" | "deregister"; name: string; pick: number }
  | { type: "scale"; name: string; replicas: number }
  | { type: "silence" | "speak" | "trouble" | "mend"; node: string }
  | { type: "cordoned" | "uncordoned" | "draining" | "remove"; node: string }
  | { type: "pass"; ms: number }
  | {
      type: "report";
      pick: number;
      state: "pulling" | "starting" | "running" | "ready" | "backoff" | "failed" | "stopped";
    }
  | { type: "autoscaler"; name: string; workload: string; min: number; span: number; cpu: number; window: string }
  | { type: "unscale"; name: string }
  | { type: "evaluate"; name: string; use: (number | null)[] }
  | { type: "obey" | "takeover" }
  | { type: "foreign"; how: "noise" | "replay" | "deposed" | "unchained" };

const name = fc.constantFrom(...names);
const node = fc.constantFrom(...nodes);
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    type: fc.constant("apply" as const),
    name,
    image: fc.integer({ min: 1, max: 3 }),
    replicas: fc.integer({ min: 0, max: 8 }),
    hostPort: fc.boolean(),
    cpu: fc.integer({ min: 0, max: 3 }),
    label: fc.constantFrom("a", "b"),
    policy: fc.constantFrom("Always" as const, "Always" as const, "Never" as const),
    fence: fc.boolean(),
    onNodeLost: fc.constantFrom("replace" as const, "hold" as const),
  }),
  fc.record({ type: fc.constantFrom("service" as const, "delete" as const), name }),
  fc.record({ type: fc.constantFrom("unselect" as const, "forget" as const), name }),
  fc.record({ type: fc.constantFrom("register" as const, "deregister" as const), name, pick: fc.nat(3) }),
  fc.record({ type: fc.constant("scale" as const), name, replicas: fc.integer({ min: 0, max: 12 }) }),
  fc.record({
    type: fc.constantFrom("silence" as const, "speak" as const, "trouble" as const, "mend" as const),
    node,
  }),
  fc.record({
    type: fc.constantFrom("cordoned" as const, "uncordoned" as const, "draining" as const, "remove" as const),
    node,
  }),
  fc.record({ type: fc.constant("pass" as const), ms: fc.integer({ min: 100, max: 20_000 }) }),
  fc.record({
    type: fc.constant("report" as const),
    pick: fc.nat(50),
    state: fc.constantFrom("pulling", "starting", "running", "ready", "backoff", "failed", "stopped"),
  }),
  fc.record({
    type: fc.constant("autoscaler" as const),
    name: fc.constantFrom("a", "b"),
    workload: name,
    min: fc.integer({ min: 1, max: 4 }),
    span: fc.integer({ min: 0, max: 8 }),
    cpu: fc.integer({ min: 10, max: 100 }),
    window: fc.constantFrom("0s", "10s", "5m"),
  }),
  fc.record({ type: fc.constant("unscale" as const), name: fc.constantFrom("a", "b") }),
  fc.record({
    type: fc.constant("evaluate" as const),
    name: fc.constantFrom("a", "b"),
    use: fc.array(fc.option(fc.nat(3000)), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ type: fc.constantFrom("obey" as const, "takeover" as const) }),
  fc.record({
    type: fc.constant("foreign" as const),
    how: fc.constantFrom("noise" as const, "replay" as const, "deposed" as const, "unchained" as const),
  }),
);

function run(cluster: TestCluster, step: Command): void {
  switch (step.type) {
    case "apply": {
      const port = { name: "http", containerPort: 80, ...(step.hostPort ? { hostPort: 8080 } : {}) };
      const resources = { requests: { cpu: `${step.cpu * 500}m` } };
      // Without a port nothing checks it.
      const ports = step.hostPort || step.label === "a" ? { ports: [port] } : {};
      const containers = [{ name: "main", image: `app:${step.image}`, ...ports, resources }];
      const { fence, onNodeLost } = step;
      const spec = { replicas: step.replicas, restartPolicy: step.policy, fence, onNodeLost, containers };
      const manifest = workloadManifest(step.name, spec) as { metadata: { labels?: object } };
      manifest.metadata.labels = { tier: step.label };
      cluster.apply(manifest);
      return;
    }
    case "service":
      cluster.apply(serviceManifest(step.name));
      return;
    case "unselect":
      cluster.apply({ ...(serviceManifest(step.name) as object), spec: { ports: [{ port: 1, targetPort: "http" }] } });
      return;
    case "forget":
      if (!cluster.state.services.has(`default/${step.name}`)) return;
      cluster.write("api", admitDelete(cluster.state, "service", "default", step.name).items);
      break;
    case "register":
      if (!cluster.state.services.has(`default/${step.name}`)) return;
      cluster.register(step.name, `x${step.pick % 2}`, 9000 + step.pick);
      return;
    case "deregister": {
      const request = { service: step.name, name: `x${step.pick % 2}` };
      if (!cluster.state.external.has(`default/${request.service}/${request.name}`)) return;
      cluster.write("api", admitDeregister(cluster.state, "default", request).items);
      break;
    }
    case "delete":
      if (!cluster.state.workloads.has(`default/${step.name}`)) return;
      cluster.write("api", admitDelete(cluster.state, "workload", "default", step.name).items);
      break;
    case "scale":
      if (cluster.state.workloads.get(`default/${step.name}`)?.deleting !== false) return;
      cluster.write("api", admitScale(cluster.state, "default", step.name, step.replicas).items);
      break;
    case "silence":
      cluster.silent.add(step.node);
      return;
    case "speak":
      cluster.silent.delete(step.node);
      return;
    case "trouble":
      cluster.troubles.set(step.node, { reason: "ENGINE_UNREACHABLE", message: "no answer" });
      break;
    case "mend":
      cluster.troubles.delete(step.node);
      break;
    case "cordoned":
    case "uncordoned":
    case "draining":
      if (!cluster.state.nodes.has(step.node)) return;
      cluster.write("api", admitMode(cluster.state, step.node, step.type).items);
      break;
    case "remove":
      if (!cluster.state.nodes.has(step.node)) cluster.join(step.node);
      else cluster.write("api", admitRemoval(cluster.state, step.node, true).items);
      break;
    case "pass":
      cluster.pass(step.ms);
      return;
    case "report": {
      const pods = [...cluster.state.pods.values()].filter((pod) => pod.node !== null);
      const pod = pods[step.pick % Math.max(1, pods.length)];
      if (pod === undefined) return;
      // An agent says "stopped" of its own accord only when it was told to stop or the pod had a policy that ends it.
      const policy = cluster.state.workloads.get(pod.workload)?.templates.get(pod.template)?.spec.restartPolicy;
      if (step.state === "stopped" && pod.desired === "run" && policy !== "Never") return;
      cluster.report(pod.key, step.state, { restarts: step.state === "backoff" ? 2 : 0, port: step.pick });
      return;
    }
    case "autoscaler": {
      const { workload, min, span, cpu, window } = step;
      const spec = { workload, minReplicas: min, maxReplicas: min + span, cpu, scaleDown: { window } };
      const owner = cluster.state.autoscalerOf.get(`default/${workload}`) ?? `default/${step.name}`;
      if (owner === `default/${step.name}`) cluster.apply(autoscalerManifest(step.name, spec));
      else expect(() => cluster.apply(autoscalerManifest(step.name, spec))).toThrow(/problem/);
      return;
    }
    case "unscale":
      if (!cluster.state.autoscalers.has(`default/${step.name}`)) return;
      cluster.write("api", admitDelete(cluster.state, "autoscaler", "default", step.name).items);
      break;
    case "evaluate":
      evaluate(cluster, `default/${step.name}`, step.use);
      return;
    case "obey":
      cluster.obey();
      return;
    case "takeover":
      cluster.elect(`c${cluster.state.sequence}`);
      cluster.forgetHistories();
      break;
    case "foreign":
      expect(cluster.record(stray(cluster, step.how))).toBe("foreign");
      return;
  }
  cluster.settle();
}

/** A look of an autoscaler at random figures, some of them missing; the checker holds what it decides. */
function evaluate(cluster: TestCluster, key: string, use: readonly (number | null)[]): void {
  const autoscaler = cluster.state.autoscalers.get(key);
  if (autoscaler === undefined) return;
  const { spec } = autoscaler;
  const replicas = (): number | undefined => cluster.state.workloads.get(`default/${spec.workload}`)?.spec.replicas;
  const before = replicas();
  const { desired, metrics, reason } = cluster.autoscale(key, (pod) => {
    const cpuMillis = use[Number(pod.name.split("-").at(-1)) % use.length] ?? null;
    return cpuMillis === null ? null : { cpuMillis, memoryBytes: 0, ageMs: 0 };
  });
  const after = replicas();
  expect(after).toBe(desired ?? before);
  expect(isCode(reason)).toBe(true);
  if (before === 0 || before === undefined) expect(after).toBe(before);
  else if (reason !== "WORKLOAD_MISSING") {
    expect(after).toBeGreaterThanOrEqual(spec.minReplicas);
    expect(after).toBeLessThanOrEqual(spec.maxReplicas);
    const measured = metrics.every(({ pods }) => pods > 0);
    if (!measured && before <= spec.maxReplicas) expect(after).toBeGreaterThanOrEqual(before);
  }
}

/** What somebody other than the leader might put into the stream. */
function stray(cluster: TestCluster, how: "noise" | "replay" | "deposed" | "unchained"): unknown {
  const items = [{ kind: "workload" as const, verb: "deleted" as const, namespace: "default", name: "web" }];
  const event = cluster.envelope("api", items);
  if (how === "noise") return { anything: true, prev: cluster.state.lastEventId };
  if (how === "replay") return cluster.log[cluster.log.length >> 1]?.event;
  if (how === "deposed") return { ...event, epoch: event.epoch - 1 };
  return { ...event, prev: "e0" };
}

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

const scripts = fc.array(command, { minLength: 1, maxLength: 40 });
const start = (): TestCluster => new TestCluster(Object.fromEntries(nodes.map((id) => [id, {}])));

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
        for (const step of script) run(cluster, step);
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
