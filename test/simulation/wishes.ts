// What operators of a world wish for: manifests and commands as chance has it, over a few names, so that wishes meet.
import type { Chance } from "./chance.ts";

export interface Wish {
  readonly namespace: string;
  readonly resource: string;
  readonly verb: string;
  readonly body: Readonly<Record<string, unknown>>;
}

export const workloadNames = ["web", "api", "cart", "mail", "jobs"] as const;
/** The port the service of that name has at every proxy; that of `fronted` comes before all of them. */
export const portOf = (service: string): number => 8000 + workloadNames.findIndex((name) => name === service);
export const nodeNames = Array.from({ length: 10 }, (_, at) => `n${at + 1}`);

/** A service that no workload stands behind, only programs that no node runs. */
export const fronted = "db";

/** Of one workload, by world: where there are few, much more of what happens happens to each. */
export const sizes = [2, 4, 8] as const;
/** Workloads whose pods are mostly fenced. */
const fencedNames: ReadonlySet<string> = new Set(["cart", "mail"]);

/** A workload that a surge takes from one replica to a thousand and back; its pods need next to nothing, so that they have room. */
const surging = "many";
export const surgedReplicas = 1000;
const scaled = (replicas: number): Wish => change("workload", "scale", { name: surging, replicas });

/** A surge's way up, and its way back. */
export const surge = {
  up: (): Wish[] => [apply([tiny(surging)]), scaled(surgedReplicas)],
  down: (): Wish => scaled(1),
} as const;

/** One replica of each workload. */
export const shrunk = (): Wish[] => workloadNames.map((name) => change("workload", "scale", { name, replicas: 1 }));

/** That all that follows from the log be made anew. */
export const rebuilt = (): Wish => ({ namespace: "_", resource: "cluster", verb: "rebuild", body: {} });

/** That the service of that name be gone. */
export const unserved = (name: string): Wish => change("service", "delete", { name });

/** One wish. The odds keep a cluster busy without emptying it. */
export function wish(chance: Chance, mostReplicas: number): Wish {
  const name = chance.pick(workloadNames);
  const draw = chance.unit();
  if (draw < 0.3)
    return apply(
      chance.hits(0.5)
        ? [workload(name, chance, mostReplicas), service(name, front(name, chance))]
        : [workload(name, chance, mostReplicas)],
    );
  if (draw < 0.65) return change("workload", "scale", { name, replicas: chance.whole(0, mostReplicas) });
  if (draw < 0.69) return change("workload", "delete", { name });
  if (draw < 0.74) return apply([service(name, front(name, chance))]);
  if (draw < 0.76) return change("service", "delete", { name });
  if (draw < 0.8) return change("workload", "undo", { name });
  if (draw < 0.84) return apply([autoscaler(name, chance, mostReplicas)]);
  if (draw < 0.86) return change("autoscaler", "delete", { name });
  if (draw < 0.88)
    return apply([
      workload(name, chance, mostReplicas),
      service(name, front(name, chance)),
      workload(chance.pick(workloadNames), chance, mostReplicas),
    ]);
  if (draw < 0.9) return { ...change("workload", "scale", { name, replicas: 1 }) };
  const node = chance.pick(nodeNames);
  // Most of the time nodes are given back, so that there is room.
  const verb = chance.hits(0.6) ? "uncordon" : chance.pick(["cordon", "drain"]);
  return { namespace: "_", resource: "node", verb, body: { name: node } };
}

/** What makes a world that wishes were made in a quiet one: nodes in use, and nothing that can never be ready. */
export const settled = (): Wish[] => [
  ...nodeNames.map((name) => ({ namespace: "_", resource: "node", verb: "uncordon", body: { name } })),
  ...workloadNames.map((name) => change("autoscaler", "delete", { name })),
  surge.down(),
  apply(workloadNames.flatMap((name) => [plain(name), service(name)])),
];

const change = (resource: string, verb: string, body: Wish["body"]): Wish => ({
  namespace: "default",
  resource,
  verb,
  body,
});

const apply = (documents: readonly object[]): Wish => ({
  namespace: "_",
  resource: "manifest",
  verb: "apply",
  // An apply names each object once.
  body: {
    documents: [
      ...new Map(
        documents.map((one) => [JSON.stringify((one as Named).kind + (one as Named).metadata.name), one]),
      ).values(),
    ],
  },
});

interface Named {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

const document = (kind: string, name: string, spec: object): Named & { spec: object } => ({
  apiVersion: "swain/v1",
  kind,
  metadata: { name },
  spec,
});

const container = (name: string, sim: object, release: number): object => ({
  name: "main",
  sim,
  env: [{ name: "RELEASE", value: String(release) }],
  // The jobs have a port of their own, which only one of them can have on a node.
  ports: [{ name: "http", containerPort: 80, ...(name === "jobs" ? { hostPort: 7000 } : {}) }],
  resources: { requests: { cpu: "100m", memory: "64Mi" } },
});

const tiny = (name: string): object =>
  document("Workload", name, {
    replicas: 1,
    stopGracePeriod: "1s",
    containers: [{ name: "main", sim: {}, resources: { requests: { cpu: "1m", memory: "1Mi" } } }],
  });

/** Beside a pod's first container. */
const beside = (sim: object): object => ({
  name: "beside",
  sim,
  resources: { requests: { cpu: "50m", memory: "32Mi" } },
});

const plain = (name: string): object =>
  document("Workload", name, {
    replicas: 3,
    stopGracePeriod: "2s",
    containers: [container(name, {}, 0), ...(name === "api" ? [beside({})] : [])],
  });

function workload(name: string, chance: Chance, mostReplicas: number): object {
  return document("Workload", name, {
    ...(chance.hits(0.5) ? { replicas: chance.whole(0, mostReplicas) } : {}),
    ...(chance.hits(0.2) ? { placement: "binpack" } : {}),
    ...lossPolicy(name, chance),
    stopGracePeriod: chance.pick(["1s", "5s"]),
    drainTimeout: chance.pick(["2s", "10s"]),
    progressDeadline: "20s",
    containers: [
      container(name, behaviour(chance), chance.whole(0, 3)),
      ...(chance.hits(0.25) ? [beside(behaviour(chance))] : []),
    ],
  });
}

/** What becomes of pods whose node is lost. Fenced ones need ten seconds at least. */
function lossPolicy(name: string, chance: Chance): object {
  const fence = fencedNames.has(name) && chance.hits(0.8);
  return {
    ...(fence ? { fence } : {}),
    ...(chance.hits(0.3) ? { lostAfter: chance.pick(fence ? ["10s", "30s"] : ["5s", "30s", "120s"]) } : {}),
    ...(chance.hits(0.15) ? { onNodeLost: "hold" } : {}),
  };
}

/** Mostly well-behaved programs. */
function behaviour(chance: Chance): object {
  const sim: Record<string, unknown> = {};
  if (chance.hits(0.4)) sim["pullDelay"] = `${chance.whole(10, 3000)}ms`;
  if (chance.hits(0.4)) sim["startDelay"] = `${chance.whole(10, 1500)}ms`;
  if (chance.hits(0.5)) sim["readyDelay"] = `${chance.whole(10, 4000)}ms`;
  if (chance.hits(0.1)) sim["ignoreStop"] = true;
  if (chance.hits(0.2)) sim["cpu"] = `${chance.whole(1, 200)}m`;
  const draw = chance.unit();
  if (draw < 0.04) sim["failPull"] = true;
  else if (draw < 0.08) sim["failStart"] = true;
  else if (draw < 0.11) sim["neverReady"] = true;
  else if (draw < 0.16) Object.assign(sim, { exitAfter: `${chance.whole(1, 20)}s`, exitCode: chance.whole(0, 2) });
  return sim;
}

const service = (name: string, workload = name): object =>
  document("Service", name, { selector: { workload }, ports: [{ port: portOf(name), targetPort: "http" }] });

/** The workload of a service: mostly its own, and now and then another, as from blue to green. */
const front = (name: string, chance: Chance): string => (chance.hits(0.15) ? chance.pick(workloadNames) : name);

const autoscaler = (name: string, chance: Chance, mostReplicas: number): object =>
  document("Autoscaler", name, {
    workload: name,
    minReplicas: chance.whole(1, 2),
    maxReplicas: chance.whole(Math.min(3, mostReplicas), mostReplicas),
    cpu: 60,
    cooldown: "10s",
  });
