// What is lost, damaged or unheard without anybody's doing much: snapshots that break, records that are missing, a node whose
// heartbeats alone get lost. Parts of a script of faults, each with chances of its own.
import type { Chance } from "./chance.ts";
import type { Fault, FaultKind } from "./faults.ts";
import { moments } from "./moments.ts";
import { nodeNames } from "./wishes.ts";

const peaceMs = 30_000;
/** Snapshots are looked through each four minutes, by a leader that is there for so long: what breaks later is found too late. */
const lastMs = 600_000;

interface Damage {
  readonly kind: FaultKind;
  readonly perHour: number;
  /** Of the worlds. */
  readonly share: number;
  readonly forMs: readonly [number, number];
  readonly leftMs: number;
}

const damages: readonly Damage[] = [
  { kind: "snapshotBroken", perHour: 4, share: 0.5, forMs: [0, 0], leftMs: lastMs },
  { kind: "recordGone", perHour: 2, share: 0.25, forMs: [1000, 12_000], leftMs: lastMs },
  { kind: "mute", perHour: 8, share: 0.5, forMs: [5000, 15_000], leftMs: 0 },
];

export function damage(chance: Chance, untilMs: number): Fault[] {
  return damages.flatMap(({ kind, perHour, share, forMs, leftMs }) => {
    const own = chance.stream(kind);
    if (!own.hits(share)) return [];
    const faults: Fault[] = [];
    for (const at of moments(own, perHour, peaceMs, untilMs - leftMs)) {
      const whom = kind === "mute" ? [own.pick(nodeNames)] : [];
      faults.push({ at: Math.round(at), forMs: own.whole(...forMs), kind, whom, strength: own.unit() });
    }
    return faults;
  });
}
