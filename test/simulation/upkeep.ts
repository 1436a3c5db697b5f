// What those who look after machines do: nodes are removed and come back, a machine is cloned with the agent on it, one comes
// back with another memory or address, and disks of proxies fill up. Each in every other world or in one of four.
import type { Chance } from "./chance.ts";
import type { Fault } from "./faults.ts";
import { moments } from "./moments.ts";
import { nodeNames } from "./wishes.ts";

/** Kinds of faults that are planned here; how often says `upkeep`. */
export const upkeepKinds = {
  /** A node in use is drained, and removed at the end. */
  nodeRemoved: { weight: 0, whom: "agent", forMs: [15_000, 40_000] },
  /** One is removed by force, with all that it runs. */
  nodeForced: { weight: 0, whom: "agent", forMs: [1000, 1000] },
  /** One is cut off, and removed by force meanwhile. */
  nodeGivenUp: { weight: 0, whom: "agent", forMs: [2000, 60_000] },
  /** A machine goes off, its node is removed, and the machine comes back. */
  nodeGone: { weight: 0, whom: "agent", forMs: [10_000, 90_000] },
  /** Another agent runs under a node's id, below half with a copy of its data. */
  doubled: { weight: 0, whom: "agent", forMs: [4000, 60_000] },
  /** An agent comes back with other facts. */
  otherFacts: { weight: 0, whom: "agent", forMs: [500, 20_000] },
  /** A proxy's disk takes no writes. */
  tableUnsaved: { weight: 0, whom: "proxy", forMs: [1000, 40_000] },
} as const;

type UpkeepKind = keyof typeof upkeepKinds;

interface Plan {
  /** Also the name of its stream. */
  readonly name: string;
  readonly kinds: readonly UpkeepKind[];
  readonly whom: readonly string[];
  /** The share of worlds in which it happens, and how often an hour it does there. */
  readonly share: number;
  readonly perHour: number;
}

const removals = ["nodeRemoved", "nodeForced", "nodeGivenUp", "nodeGone"] as const;
/** A cluster is founded first, and its nodes have pods. */
const firstMs = 30_000;

/** All of it until `untilMs`. What one plan draws does not change another. */
export function upkeep(chance: Chance, untilMs: number, proxyNames: readonly string[]): Fault[] {
  const plans: readonly Plan[] = [
    { name: "removed nodes", kinds: removals, whom: nodeNames, share: 0.5, perHour: 10 },
    { name: "twins", kinds: ["doubled"], whom: nodeNames, share: 0.25, perHour: 10 },
    { name: "other facts", kinds: ["otherFacts"], whom: nodeNames, share: 0.25, perHour: 10 },
    { name: "tables", kinds: ["tableUnsaved"], whom: proxyNames, share: 0.5, perHour: 12 },
  ];
  return plans.flatMap((plan) => planned(chance.stream(plan.name), untilMs, plan));
}

function planned(chance: Chance, untilMs: number, { kinds, whom, share, perHour }: Plan): Fault[] {
  if (!chance.hits(share)) return [];
  const faults: Fault[] = [];
  for (const at of moments(chance, perHour, firstMs, untilMs)) {
    const kind = chance.pick(kinds);
    const [least, most] = upkeepKinds[kind].forMs;
    const forMs = Math.round(least * (most / least) ** chance.unit());
    faults.push({ at: Math.round(at), forMs, kind, whom: [chance.pick(whom)], strength: chance.unit() });
  }
  return faults;
}
