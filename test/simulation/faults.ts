// Faults: what goes wrong in a world, when, with whom and for how long. A script of them is plain data, made from chance,
// and can be written down, cut shorter and run again.
import type { Chance } from "./chance.ts";
import { damage } from "./damage.ts";
import { hourMs, moments } from "./moments.ts";
import { upkeep, upkeepKinds } from "./upkeep.ts";
import { nodeNames } from "./wishes.ts";

export const controllerNames = ["c1", "c2", "c3"] as const;
export const proxyNames = ["p1", "p2"] as const;

/** Stands for whichever controller leads when the fault begins. */
export const leader = "leader";

/** Stands for a node that runs a fenced pod when the fault begins. */
export const fencedHost = "fenced host";

export type FaultKind = keyof typeof kinds;

export interface Fault {
  /** Milliseconds since the world began. */
  readonly at: number;
  readonly forMs: number;
  readonly kind: FaultKind;
  /** Names of those it happens to; empty for what happens to the bus. */
  readonly whom: readonly string[];
  /** For what needs a figure: 0 to 1. */
  readonly strength: number;
}

interface Kind {
  /** How often, compared with others. */
  readonly weight: number;
  readonly whom: "controller" | "agent" | "proxy" | "any" | "bus" | "some agents";
  /** Least and most duration, milliseconds. */
  readonly forMs: readonly [number, number];
}

/** Durations reach past the deadlines of the design: 2.5 s to an election, 4 s to an unheard node, 15 s to a lost pod. */
const kinds = {
  kill: { weight: 10, whom: "any", forMs: [100, 20_000] },
  /** In order, and started again after a while. */
  stop: { weight: 6, whom: "any", forMs: [1000, 30_000] },
  pause: { weight: 8, whom: "any", forMs: [200, 45_000] },
  /** Planned apart: controllers first. */
  upgrade: { weight: 0, whom: "any", forMs: [100, 20_000] },
  wipe: { weight: 3, whom: "any", forMs: [100, 10_000] },
  resign: { weight: 3, whom: "controller", forMs: [0, 0] },
  cut: { weight: 8, whom: "any", forMs: [500, 60_000] },
  cutUp: { weight: 3, whom: "any", forMs: [500, 40_000] },
  cutDown: { weight: 3, whom: "any", forMs: [500, 40_000] },
  flap: { weight: 3, whom: "any", forMs: [2000, 30_000] },
  reset: { weight: 4, whom: "any", forMs: [0, 0] },
  slow: { weight: 4, whom: "any", forMs: [1000, 30_000] },
  /** What comes for it waits in its own queue, though its connection is well. */
  lagging: { weight: 2, whom: "controller", forMs: [4000, 20_000] },
  lossy: { weight: 6, whom: "any", forMs: [1000, 40_000] },
  gappy: { weight: 6, whom: "proxy", forMs: [500, 5000] },
  echoing: { weight: 4, whom: "agent", forMs: [2000, 40_000] },
  clockJump: { weight: 3, whom: "any", forMs: [1000, 60_000] },
  crash: { weight: 6, whom: "agent", forMs: [2000, 60_000] },
  crashAlone: { weight: 1, whom: "agent", forMs: [20_000, 90_000] },
  crashSome: { weight: 2, whom: "some agents", forMs: [5000, 90_000] },
  cutSome: { weight: 3, whom: "some agents", forMs: [3000, 90_000] },
  engineDown: { weight: 4, whom: "agent", forMs: [500, 20_000] },
  engineHangs: { weight: 3, whom: "agent", forMs: [500, 20_000] },
  engineFlaky: { weight: 4, whom: "agent", forMs: [1000, 30_000] },
  killContainers: { weight: 8, whom: "agent", forMs: [0, 0] },
  diskFull: { weight: 3, whom: "agent", forMs: [1000, 20_000] },
  farFromNodes: { weight: 3, whom: "proxy", forMs: [1000, 20_000] },
  busKill: { weight: 3, whom: "bus", forMs: [200, 12_000] },
  busFreeze: { weight: 3, whom: "bus", forMs: [200, 6000] },
  busMoves: { weight: 2, whom: "bus", forMs: [1000, 6000] },
  copyBehind: { weight: 4, whom: "bus", forMs: [2000, 30_000] },
  busPowerCut: { weight: 1, whom: "bus", forMs: [500, 8000] },
  busFull: { weight: 1, whom: "bus", forMs: [500, 8000] },
  consumersLost: { weight: 3, whom: "bus", forMs: [0, 0] },
  newsLost: { weight: 16, whom: "bus", forMs: [0, 0] },
  ackLost: { weight: 6, whom: "bus", forMs: [0, 0] },
  writeLost: { weight: 6, whom: "bus", forMs: [0, 0] },
  strayRecord: { weight: 12, whom: "bus", forMs: [0, 0] },
  handEdit: { weight: 3, whom: "bus", forMs: [0, 0] },
  everythingOff: { weight: 0.5, whom: "bus", forMs: [1000, 20_000] },
  /** Planned apart: somebody wants a thousand replicas, and one again when it is over. */
  surge: { weight: 0, whom: "bus", forMs: [60_000, 180_000] },
  /** Planned apart: of each workload one replica is wanted, while clients have long requests under way. */
  shrink: { weight: 0, whom: "bus", forMs: [0, 0] },
  /** Of drills alone: nobody asks for changes, so that what is wrong is not soon written over. Below half, a service is deleted first. */
  quiet: { weight: 0, whom: "bus", forMs: [70_000, 120_000] },
  /** Planned apart, with the next three: the log reaches its limit, while all others have room. */
  logFull: { weight: 0, whom: "bus", forMs: [5000, 30_000] },
  /** Somebody deletes a bucket. */
  bucketGone: { weight: 0, whom: "bus", forMs: [0, 0] },
  /** Somebody edits, deletes or purges any key of any bucket. */
  edit: { weight: 0, whom: "bus", forMs: [0, 0] },
  /** The server, or the leader's connection, breaks while an append is under way. */
  appendBroken: { weight: 0, whom: "bus", forMs: [1000, 10_000] },
  /** Of drills alone: the server breaks once a controller begins to read records of the log, of which it was told before. */
  readBroken: { weight: 0, whom: "bus", forMs: [8000, 12_000] },
  /** Planned apart: one of three servers is cut off from the others, and its clients with it; the leader's, or any. */
  island: { weight: 0, whom: "bus", forMs: [2000, 60_000] },
  /** Planned apart: at most once, late. */
  busWiped: { weight: 0, whom: "bus", forMs: [1000, 60_000] },
  /** In place of that now and then: the log alone is lost. */
  logGone: { weight: 0, whom: "bus", forMs: [1000, 60_000] },
  /** Planned apart (`damage.ts`), as the next two: a snapshot loses a part, or all are gone. */
  snapshotBroken: { weight: 0, whom: "bus", forMs: [0, 0] },
  /** A record is missing in the middle of the log. */
  recordGone: { weight: 0, whom: "bus", forMs: [1000, 12_000] },
  /** The heartbeats of a node get lost. */
  mute: { weight: 0, whom: "agent", forMs: [5000, 15_000] },
  ...upkeepKinds,
} as const satisfies Record<string, Kind>;

interface DrillPart extends Omit<Fault, "at" | "strength"> {
  /** 1 when it is not given. */
  readonly strength?: number;
  /** How long after the part before it; moments when it is not given. */
  readonly laterMs?: number;
}

/** Where faults have to meet for a mistake to show: the parts of a drill begin soon after each other, in this order. */
const drills: readonly ((chance: Chance) => readonly DrillPart[])[] = [
  // An agent comes back before its way to the bus does, and has only its journal.
  (chance) => [{ kind: "crashAlone", whom: [fencedHost], forMs: chance.whole(50_000, 90_000) }],
  // The leader stands still while a node is silent, but not for so long that another is elected.
  (chance) => [
    { kind: "cut", whom: some(chance, 1), forMs: chance.whole(8000, 30_000) },
    { kind: "pause", whom: [leader], forMs: chance.whole(1600, 2100) },
  ],
  // All controllers start anew, and so one that leads, while one copy of the log is behind.
  (chance) => [
    { kind: "copyBehind", whom: [], forMs: chance.whole(30_000, 60_000) },
    { kind: "kill", whom: [leader], forMs: 100, laterMs: chance.whole(5000, 20_000) },
    ...controllerNames.map((name) => ({ kind: "kill", whom: [name], forMs: 100 }) as const),
  ],
  // What some nodes are told comes twice and out of its order.
  (chance) => [{ kind: "echoing", whom: some(chance, 5), forMs: chance.whole(20_000, 60_000) }],
  // So many nodes fall silent at once that the fault may be the leader's.
  (chance) => [{ kind: "cutSome", whom: some(chance, 5), forMs: chance.whole(20_000, 60_000) }],
  // Proxies lose news while there is much of it.
  (chance) => [
    ...(chance.hits(0.5) ? [{ kind: "consumersLost", whom: [], forMs: 0 } as const] : []),
    { kind: "gappy", whom: [...proxyNames], forMs: chance.whole(2000, 10_000) },
    { kind: "killContainers", whom: some(chance, 5), forMs: 0 },
  ],
  // A leader without anything to write stands still until another is elected, and much of what it asks for then is lost.
  (chance) => [
    { kind: "quiet", whom: [], forMs: chance.whole(30_000, 50_000) },
    {
      kind: "lossy",
      whom: [leader],
      forMs: chance.whole(20_000, 40_000),
      strength: chance.between(0.05, 0.5),
      laterMs: chance.whole(1000, 5000),
    },
    { kind: "pause", whom: [leader], forMs: chance.whole(3000, 8000) },
  ],
  // All that a leader hears it hears late, and for a while nothing.
  (chance) => [{ kind: "lagging", whom: [leader], forMs: chance.whole(6000, 20_000) }],
  // Containers crash, crash again, and once more after they ran for long.
  (chance) => {
    const whom = some(chance, 5);
    return [0, 2500, 6000, chance.whole(65_000, 80_000)].map((laterMs) => ({
      kind: "killContainers",
      whom,
      forMs: 0,
      laterMs,
    }));
  },
  // A leader is followed by another, whose election a server that does not sync loses at once.
  (chance) => [
    { kind: "kill", whom: [leader], forMs: chance.whole(100, 20_000) },
    { kind: "busPowerCut", whom: [], forMs: chance.whole(500, 5000), laterMs: chance.whole(3000, 9000) },
  ],
  // Those who stand have not heard of the newest records, and read to an end that is lost before they get there.
  (chance) => [
    { kind: "copyBehind", whom: [], forMs: chance.whole(10_000, 20_000) },
    {
      kind: "readBroken",
      whom: [],
      forMs: chance.whole(...kinds.readBroken.forMs),
      strength: chance.unit(),
      laterMs: 0,
    },
    { kind: "kill", whom: [leader], forMs: chance.pick([100, 20_000]), laterMs: chance.whole(500, 4000) },
  ],
  // What a power cut takes stays away, for little is written afterwards.
  (chance) => [
    { kind: "quiet", whom: [], forMs: chance.whole(...kinds.quiet.forMs), strength: chance.unit() },
    {
      kind: "busPowerCut",
      whom: [],
      forMs: chance.whole(500, 3000),
      laterMs: chance.whole(0, chance.pick([10_000, 30_000])),
    },
  ],
];
const momentMs = 2000;
/** A cluster whose first records are lost is no cluster yet. */
const peaceMs = 15_000;

export interface Amounts {
  /** Single faults an hour, about. */
  readonly perHour: number;
  /** So many times an hour, about, some that belong together. */
  readonly drillsPerHour: number;
  /** No hour has fewer faults than this. */
  readonly least: number;
  /** Of the bus. */
  readonly servers: 1 | 3;
}

/**
 * Faults until `untilMs`. In every other script the cluster is upgraded, in one of five the bus loses its store and gets
 * it back from a backup, in every other the leader hears nobody while pods drain, in every other
 * somebody meddles with the streams, and in one hour of twenty a workload goes from one replica to a thousand and back.
 */
export function script(chance: Chance, untilMs: number, { perHour, drillsPerHour, least, servers }: Amounts): Fault[] {
  const drawn = [
    ...singles(chance, untilMs, perHour),
    ...drilled(chance.stream("drills"), untilMs, drillsPerHour),
    ...upgrades(chance.stream("upgrades"), untilMs),
    ...wiped(chance.stream("wiped"), untilMs),
    ...unheard(chance.stream("unheard"), untilMs),
    ...surges(chance.stream("surges"), untilMs),
    ...meddling(chance.stream("strangers"), untilMs),
    ...(servers === 3 ? islands(chance.stream("islands"), untilMs) : []),
  ].filter(({ at }) => at < untilMs);
  const rest = missing(chance.stream("missing"), untilMs, least, drawn);
  return [
    ...drawn,
    ...rest,
    ...damage(chance.stream("harm"), untilMs),
    ...upkeep(chance.stream("upkeep"), untilMs, proxyNames),
  ].toSorted((a, b) => a.at - b.at);
}

/** What chance left out of hours that it treated kindly. */
function missing(chance: Chance, untilMs: number, least: number, drawn: readonly Fault[]): Fault[] {
  const faults: Fault[] = [];
  for (let from = 0; from < untilMs; from += hourMs) {
    const to = Math.min(from + hourMs, untilMs);
    const has = drawn.filter(({ at }) => at > from && at <= to).length;
    const wanted = Math.ceil((least * (to - from)) / hourMs);
    for (let nth = has; nth < wanted; nth += 1) {
      faults.push(single(chance, chance.between(Math.max(from, peaceMs) + 1, to - 1)));
    }
  }
  return faults;
}

/** For so much of the time controllers are of two versions. */
const mixedShare = 0.7;

/** All controllers, one after the other, and then some agents and proxies, as `operating.md` says. */
function upgrades(chance: Chance, untilMs: number): Fault[] {
  if (chance.hits(0.5)) return [];
  const rest = [...nodeNames, ...proxyNames].filter(() => chance.hits(0.5));
  const upgrade = (name: string, at: number): Fault => {
    const forMs = chance.whole(...kinds.upgrade.forMs);
    return { at: Math.round(at), forMs, kind: "upgrade", whom: [name], strength: 1 };
  };
  // Longer apart than anybody would, so that much happens in between.
  const apartMs = (untilMs * mixedShare) / controllerNames.length;
  return [
    ...controllerNames.map((name, nth) => upgrade(name, (nth + chance.unit()) * apartMs)),
    ...rest.map((name) => upgrade(name, chance.between(untilMs * mixedShare, untilMs))),
  ];
}

function drilled(chance: Chance, untilMs: number, perHour: number): Fault[] {
  const faults: Fault[] = [];
  for (const at of moments(chance, perHour, 0, untilMs)) {
    let begin = at;
    for (const { laterMs = chance.between(0, momentMs), strength = 1, ...part } of chance.pick(drills)(chance)) {
      begin += laterMs;
      faults.push({ ...part, at: Math.round(begin), strength });
    }
  }
  return faults;
}

function singles(chance: Chance, untilMs: number, perHour: number): Fault[] {
  const faults: Fault[] = [];
  for (const at of moments(chance, perHour, 0, untilMs - peaceMs)) faults.push(single(chance, peaceMs + at));
  return faults;
}

const all = Object.entries(kinds) as [FaultKind, Kind][];
const total = all.reduce((sum, [, { weight }]) => sum + weight, 0);

function single(chance: Chance, at: number): Fault {
  const [kind, { whom, forMs }] = weighted(all, chance.unit() * total);
  return {
    at: Math.round(at),
    // Short ones are as likely as long ones.
    forMs: Math.round(forMs[0] * (Math.max(forMs[1], 1) / Math.max(forMs[0], 1)) ** chance.unit()),
    kind,
    whom: victims(chance, whom),
    strength: Math.round(chance.unit() * 100) / 100,
  };
}

function wiped(chance: Chance, untilMs: number): Fault[] {
  if (!chance.hits(0.2)) return [];
  const [least, most] = kinds.busWiped.forMs;
  const at = Math.round(untilMs * chance.between(0.6, 0.95));
  const alone = chance.stream("alone");
  const kind = alone.hits(0.4) ? "logGone" : "busWiped";
  const lost: Fault = { at, forMs: chance.whole(least, most), kind, whom: [], strength: chance.unit() };
  if (kind === "busWiped") return [lost];
  // One that starts makes the streams that are not there.
  const whom = [alone.pick(controllerNames)];
  return [lost, { at: at + alone.whole(0, 10_000), forMs: 100, kind: "kill", whom, strength: 1 }];
}

const unheardPerHour = 6;

/** A leader hears nobody while proxies still carry connections to pods that are to stop. */
function unheard(chance: Chance, untilMs: number): Fault[] {
  if (chance.hits(0.5)) return [];
  const faults: Fault[] = [];
  for (const at of moments(chance, unheardPerHour, peaceMs, untilMs)) {
    const shrunkAt = Math.round(at);
    const kind = chance.pick(["cutDown", "lagging", "busFreeze"] as const);
    const whom = kind === "busFreeze" ? [] : [leader];
    const deafAt = shrunkAt + chance.whole(0, 4000);
    faults.push({ at: shrunkAt, forMs: 0, kind: "shrink", whom: [], strength: 1 });
    faults.push({ at: deafAt, forMs: chance.whole(6000, 15_000), kind, whom, strength: chance.unit() });
  }
  return faults;
}

const islandsPerHour = 6;

function islands(chance: Chance, untilMs: number): Fault[] {
  const faults: Fault[] = [];
  const [least, most] = kinds.island.forMs;
  for (const at of moments(chance, islandsPerHour, peaceMs, untilMs)) {
    const forMs = chance.whole(least, most);
    faults.push({ at: Math.round(at), forMs, kind: "island", whom: [], strength: chance.unit() });
  }
  return faults;
}

const meddlingPerHour = 10;
const meddlings = ["logFull", "bucketGone", "edit", "edit", "appendBroken", "appendBroken"] as const;

/** What people do to streams that are none of theirs, and connections that break where it matters most. */
function meddling(chance: Chance, untilMs: number): Fault[] {
  if (chance.hits(0.5)) return [];
  const faults: Fault[] = [];
  for (const at of moments(chance, meddlingPerHour, 2 * peaceMs, untilMs)) {
    const kind = chance.pick(meddlings);
    const [least, most] = kinds[kind].forMs;
    const fault = { at: Math.round(at), forMs: chance.whole(least, most), strength: chance.unit() };
    faults.push({ ...fault, kind, whom: [] });
    // Nobody is elected where the log takes no election.
    const killedAt = fault.at + chance.whole(0, 5000);
    if (kind === "logFull" && chance.hits(0.5)) {
      faults.push({
        at: killedAt,
        forMs: chance.whole(...kinds.kill.forMs),
        kind: "kill",
        whom: [leader],
        strength: 1,
      });
    }
  }
  return faults;
}

/** So seldom because it costs as much of the machine's time as half an hour of the world without it. */
const surgesPerHour = 0.05;

function surges(chance: Chance, untilMs: number): Fault[] {
  const { forMs } = kinds.surge;
  const hours = Array.from({ length: Math.ceil(untilMs / hourMs) }, (_, nth) => nth * hourMs);
  const begun = hours.filter(() => chance.hits(surgesPerHour)).map((from) => from + chance.between(peaceMs, hourMs));
  return begun.map((at) => ({
    at: Math.round(at),
    forMs: chance.whole(...forMs),
    kind: "surge",
    whom: [],
    strength: 1,
  }));
}

/** The one that `draw`, below the sum of all weights, falls on. */
function weighted(all: readonly [FaultKind, Kind][], draw: number): [FaultKind, Kind] {
  let left = draw;
  for (const one of all) {
    left -= one[1].weight;
    if (left < 0) return one;
  }
  throw new Error(`${draw} is beyond all weights`);
}

function victims(chance: Chance, whom: Kind["whom"]): string[] {
  switch (whom) {
    case "controller":
      return [chance.hits(0.5) ? leader : chance.pick(controllerNames)];
    case "agent":
      return [chance.pick(nodeNames)];
    case "proxy":
      return [chance.pick(proxyNames)];
    case "bus":
      return [];
    case "any":
      return [chance.pick([leader, chance.pick(controllerNames), chance.pick(nodeNames), chance.pick(proxyNames)])];
    case "some agents":
      // All of them, or about one in five.
      if (chance.hits(0.3)) return [...nodeNames];
      return [chance.pick(nodeNames), ...nodeNames.filter(() => chance.hits(0.1))].filter(isFirst);
  }
}

/** So many nodes. */
function some(chance: Chance, count: number): string[] {
  const left = [...nodeNames];
  while (left.length > count) left.splice(chance.whole(0, left.length - 1), 1);
  return left;
}

const isFirst = (name: string, at: number, all: readonly string[]): boolean => all.indexOf(name) === at;
