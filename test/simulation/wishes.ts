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
/** Nodes are in one or the other. */
export const zones = ["a", "b"] as const;

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

/** That more nodes than not be drained, so that some of them cannot be, or none of them. */
export const drains = (chance: Chance): Wish[] =>
  chance.hits(0.5)
    ? nodeNames
        .filter(() => chance.hits(0.6))
        .map((name) => ({ namespace: "_", resource: "node", verb: "drain", body: { name } }))
    : [];

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
  const verb = chance.hits(0.55) ? "uncordon" : chance.pick(["cordon", "drain", "drain"]);
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

/** Ports that pods of these workloads may have to themselves on a node. */
const hostPorts: ReadonlyMap<string, number> = new Map([
  ["jobs", 7000],
  ["api", 7001],
  ["cart", 7002],
]);

const container = (sim: object, release: number, hostPort?: number): Container => ({
  name: "main",
  sim,
  env: [{ name: "RELEASE", value: String(release) }],
  ports: [{ name: "http", containerPort: 80, ...(hostPort === undefined ? {} : { hostPort }) }],
  resources: { requests: { cpu: "100m", memory: "64Mi" } },
});

type Container = Readonly<Record<"name" | "sim" | "ports" | "resources", unknown>> & {
  readonly env: readonly object[];
};

/** Which of its programs do not answer now and then: of so many milliseconds the first so many, later on each node. */
export const faltering = "FALTERS";

/** The first container of a workload, of many kinds. */
function first(name: string, chance: Chance, sim: object): object {
  const isFixed = chance.hits(name === "jobs" ? 0.8 : 0.2);
  const made = container(sim, chance.whole(0, 3), isFixed ? hostPorts.get(name) : undefined);
  const cpu = chance.hits(0.07) ? {} : { cpu: chance.pick(["50m", "100m", "100m", "200m"]) };
  const resources = { requests: { ...cpu, memory: "64Mi" } };
  if (!chance.hits(0.2)) return { ...made, resources };
  const value = [chance.whole(4, 40) * 1000, chance.whole(1, 8) * 1000, chance.whole(0, 9) * 700].join(":");
  const readiness = { tcp: { port: "http" }, interval: "1s", failures: 1 };
  return { ...made, resources, env: [...made.env, { name: faltering, value }], readiness };
}

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
    // The jobs have a port of their own, which only one of them can have on a node.
    containers: [
      container({}, 0, name === "jobs" ? hostPorts.get(name) : undefined),
      ...(name === "api" ? [beside({})] : []),
    ],
  });

function workload(name: string, chance: Chance, mostReplicas: number): object {
  const isTask = chance.hits(name === "mail" ? 0.3 : 0.05);
  const end = isTask ? { exitAfter: `${chance.whole(1, 60)}s`, exitCode: chance.hits(0.6) ? 0 : 1 } : {};
  return document("Workload", name, {
    ...(isTask ? { restartPolicy: chance.pick(["OnFailure", "Never"]) } : {}),
    ...(chance.hits(0.1) ? { nodeSelector: { zone: chance.pick(zones) } } : {}),
    ...(chance.hits(0.5) ? { replicas: chance.whole(0, mostReplicas) } : {}),
    ...(chance.hits(0.2) ? { placement: "binpack" } : {}),
    ...lossPolicy(name, chance),
    stopGracePeriod: chance.pick(["1s", "5s"]),
    drainTimeout: chance.pick(["2s", "10s"]),
    progressDeadline: chance.pick(["5s", "20s", "60s"]),
    containers: [
      first(name, chance, { ...behaviour(chance), ...end }),
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
    cpu: chance.pick([30, 60, 90]),
    cooldown: chance.pick(["0s", "10s", "30s"]),
    tolerance: chance.pick([0, 10]),
    scaleDown: {
      window: chance.pick(["0s", "20s", "60s"]),
      ...(chance.hits(0.3) ? { pods: chance.whole(1, 3) } : {}),
    },
    scaleUp: {
      window: chance.pick(["0s", "0s", "20s"]),
      ...(chance.hits(0.3) ? { percent: chance.whole(10, 100) } : {}),
    },
  });
