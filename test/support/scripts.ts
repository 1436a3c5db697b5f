// Whatever may happen to a cluster, as commands drawn by fast-check and shrunk by it, for property tests.
import fc from "fast-check";
import { expect } from "vitest";
import { admitDeregister } from "../../services/core/admit/endpoint.ts";
import { admitDelete, admitScale } from "../../services/core/admit/change.ts";
import { admitMode, admitRemoval } from "../../services/core/admit/node.ts";
import { isCode } from "../../services/kernel/errors.ts";
import { autoscalerManifest, serviceManifest, TestCluster, workloadManifest } from "./core.ts";

export const nodes = ["n1", "n2", "n3", "n4", "n5"];
const names = ["web", "db"];

export type Command =
  | {
      type: "apply";
      name: string;
      image: number;
      replicas: number;
      hostPort: boolean;
      cpu: number;
      label: string;
      policy: "Always" | "OnFailure" | "Never";
      isZoned: boolean;
      fence: boolean;
      onNodeLost: "replace" | "hold";
    }
  | { type: "service" | "delete"; name: string }
  | { type: "unselect" | "forget"; name: string }
  | { type: "register" | "deregister"; name: string; pick: number }
  | { type: "scale"; name: string; replicas: number }
  | { type: "silence" | "speak" | "trouble" | "mend"; node: string }
  | { type: "cordoned" | "uncordoned" | "draining" | "remove"; node: string }
  | { type: "facts"; node: string; how: "plain" | "docker" | "zoned" }
  | { type: "pass"; ms: number }
  | {
      type: "report";
      pick: number;
      state: "pulling" | "starting" | "running" | "ready" | "backoff" | "failed" | "stopped";
    }
  | { type: "autoscaler"; name: string; workload: string; min: number; span: number; cpu: number; window: string }
  | { type: "unscale"; name: string }
  | { type: "evaluate"; name: string; use: (number | null)[] }
  | { type: "obey" | "takeover" | "restore" | "watched" | "unwatched" }
  | { type: "foreign"; how: "noise" | "replay" | "deposed" | "unchained" };

const name = fc.constantFrom(...names);
const node = fc.constantFrom(...nodes);
export const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    type: fc.constant("apply" as const),
    name,
    image: fc.integer({ min: 1, max: 3 }),
    replicas: fc.integer({ min: 0, max: 8 }),
    hostPort: fc.boolean(),
    cpu: fc.integer({ min: 0, max: 3 }),
    label: fc.constantFrom("a", "b"),
    policy: fc.constantFrom("Always" as const, "Always" as const, "OnFailure" as const, "Never" as const),
    isZoned: fc.constantFrom(false, false, false, true),
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
  fc.record({ type: fc.constant("facts" as const), node, how: fc.constantFrom("plain", "docker", "zoned") }),
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
  fc.record({ type: fc.constantFrom("obey" as const, "takeover" as const, "restore" as const) }),
  fc.record({ type: fc.constantFrom("watched" as const, "unwatched" as const) }),
  fc.record({
    type: fc.constant("foreign" as const),
    how: fc.constantFrom("noise" as const, "replay" as const, "deposed" as const, "unchained" as const),
  }),
);

/** All are of one machine. */
const changedFacts = { plain: {}, docker: { runtime: "docker" }, zoned: { labels: { zone: "a" } } } as const;

/** Does one command to the cluster. */
export function run(cluster: TestCluster, step: Command): void {
  switch (step.type) {
    case "apply": {
      const port = { name: "http", containerPort: 80, ...(step.hostPort ? { hostPort: 8080 } : {}) };
      const resources = { requests: { cpu: `${step.cpu * 500}m` } };
      // Without a port nothing checks it.
      const ports = step.hostPort || step.label === "a" ? { ports: [port] } : {};
      const containers = [{ name: "main", image: `app:${step.image}`, ...ports, resources }];
      const { fence, onNodeLost, policy: restartPolicy, isZoned } = step;
      const place = isZoned ? { nodeSelector: { zone: "a" } } : {};
      const spec = { replicas: step.replicas, restartPolicy, fence, onNodeLost, containers, ...place };
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
    case "facts":
      // As after it was set up anew; one that is away says nothing.
      if (cluster.silent.has(step.node) || !cluster.state.nodes.has(step.node)) return;
      cluster.join(step.node, changedFacts[step.how]);
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
      if (step.state === "stopped" && pod.desired === "run" && policy === "Always") return;
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
    case "watched":
      // A proxy that never confirms anything: pods drain until it is waited for no longer.
      cluster.proxies = [
        { id: "p1", heardAgoMs: 0, reachableMs: 60_000, whole: true, applied: new Map(), open: new Map() },
      ];
      return;
    case "unwatched":
      cluster.proxies = [];
      break;
    case "restore":
      cluster.restore(`log-of-${cluster.state.sequence}`);
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

/** Some commands in a row. */
export const scripts = fc.array(command, { minLength: 1, maxLength: 40 });
/** A cluster of five empty nodes. */
export const start = (): TestCluster => new TestCluster(Object.fromEntries(nodes.map((id) => [id, {}])));
