// What becomes of external endpoints, held against what the programs did that registered them: who renews stays, who does not
// is gone in time, and proxies know of both.
import type { Accepted, EventItem, PodAddress } from "../../schemas/generated/types.ts";
import { externalId } from "../../services/core/model.ts";
import { controllerNames } from "./faults.ts";
import type { Observer } from "./observer.ts";
import type { Table } from "./tables.ts";
import type { Troubles } from "./troubles.ts";

/** Where messages get lost, renewals do, too. */
const losing = ["lossy", "gappy", "echoing", "flap", "slow", "lagging"] as const;
/** From a renewal to its leader, and from the end of a ttl into the log; a leader that could not hear waits for 2.5 s more. */
const lateMs = 5000;
/** A leader takes off what it could not hear, and it may have heard a program's last word only after that: longer ago than any such time. */
const calmMs = 30_000;
/** A shorter silence of the server is none to a leader, and of a longer one it may miss so much at both ends. */
const awayMs = { least: 1500, slack: 1500 } as const;
const alsoBack = ["busPowerCut", "everythingOff", "busWiped", "appendBroken", "readBroken", "busMoves"] as const;
/** A leader that is cut off from two servers of three with a program answers it for no longer, whatever the next one decides. */
const islandMs = 30_000;
/** No freeze and no kill lasts longer: what ended one of them may lie before a renewal, and the script had it last beyond that. */
const longestMs = 30_000;
/** Two looks at a clock. */
const blurMs = 20;
/** A program may have been told to leave so long before it is seen to have left. */
const leavingMs = 60_000;
/** As of other endpoints: see `observer.ts`. */
const knownMs = 10_000;
const cleanMs = 15_000;

/** What is missing from a bucket that was made anew, proxies keep until they have read it after 2, 4 and 8 s more. */
const remadeMs = 30_000;

interface External {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

/** What a program says of itself, and when it said so. */
export interface Program {
  readonly service: string;
  ttlMs: number;
  addresses: readonly External[];
  /** The machine that it runs on. */
  readonly place: string;
  /** It means to stay from then on; undefined while it does not. */
  keepsSince: number | undefined;
}

interface Record {
  readonly id: string;
  /** When it was said last, and when what was acknowledged last. */
  saidAt: number;
  renewedAt: number;
  leftAt: number;
}

/** An endpoint as the log has it. */
interface Known {
  readonly at: number;
  readonly ttlMs: number;
  readonly addresses: readonly External[];
}

/** A request that was sent, and of how many losses of the log was known then. */
interface Asked {
  readonly at: number;
  readonly losses: number;
}

export class Externals {
  private readonly observer: Observer;
  private readonly troubles: Troubles;
  private readonly now: () => number;
  private readonly records = new Map<Program, Record>();
  /** The one that stands for an endpoint. */
  private readonly programs = new Map<string, Program>();
  private readonly known = new Map<string, Known>();
  /** Endpoints that were removed, when, and why. */
  private readonly gone = new Map<string, { readonly at: number; readonly reason: string }>();
  private losses = 0;
  private epoch = 0;
  private electedAt = 0;
  /** The last election since the log lost something; until there is one nobody tells proxies what is left. */
  private ledSince = Infinity;

  constructor(observer: Observer, troubles: Troubles, now: () => number) {
    this.observer = observer;
    this.troubles = troubles;
    this.now = now;
    observer.lookers.push((item, sequence) => this.onItem(item, sequence));
  }

  /** A program is to serve under that id. */
  begins(id: string, said: Omit<Program, "keepsSince">): Program {
    const program = { ...said, keepsSince: undefined };
    const before = this.programs.get(id);
    const {
      saidAt = -Infinity,
      renewedAt = -Infinity,
      leftAt = -Infinity,
    } = before === undefined ? {} : this.of(before);
    if (before !== undefined) this.records.delete(before);
    this.records.set(program, { id, saidAt, renewedAt, leftAt });
    this.programs.set(id, program);
    return program;
  }

  changes(program: Program, ttlMs: number, port: number): void {
    program.ttlMs = ttlMs;
    program.addresses = program.addresses.map((one) => ({ ...one, port }));
  }

  /** It says that it is there. */
  asks(program: Program): Asked {
    const at = this.now();
    this.of(program).saidAt = at;
    return { at, losses: this.observer.losses.length };
  }

  leaves(program: Program): void {
    this.of(program).leftAt = this.now();
  }

  /** It was told that it is registered, or was already. */
  answered(program: Program, { at, losses }: Asked, { results }: Accepted): void {
    if (losses < this.observer.losses.length) return;
    const { id } = this.of(program);
    this.of(program).renewedAt = at;
    const gone = this.gone.get(id);
    const action = results[0]?.action ?? "";
    if (this.known.has(id) || (gone !== undefined && gone.at >= at && gone.reason !== "EXPIRED")) return;
    // A leader that has not noticed yet that the log is gone answers from memory.
    if (this.isIsland(0) || this.observer.state.logId === "") return;
    const became = gone === undefined ? "is not in the log" : `was removed ${Math.round(this.now() - gone.at)} ms ago`;
    this.violate("external", `${id} is told "${action}" to what it said at ${Math.round(at)}, but ${became}`);
  }

  /** An event says something; its record is folded. */
  private onItem(item: EventItem, sequence: number): void {
    this.heedLosses();
    if (item.kind === "leader" && !this.observer.isReplaying) this.ledSince = this.now();
    if (item.kind !== "endpoint") return;
    const id = externalId(item.namespace, item.service, item.name);
    if (item.verb === "registered") {
      this.known.set(id, { at: this.now(), ttlMs: item.ttlMs, addresses: item.addresses });
      this.gone.delete(id);
      return;
    }
    const known = this.known.get(id);
    this.known.delete(id);
    this.gone.set(id, { at: this.now(), reason: item.reason });
    const program = this.programs.get(id);
    if (program === undefined || known === undefined || this.observer.isReplaying) return;
    if (item.reason === "EXPIRED") this.expired(id, program, known.ttlMs, sequence);
    else if (item.reason === "DEREGISTERED" && this.now() - this.of(program).leftAt > leavingMs)
      this.violate("external", `event ${sequence}: ${id} is said to have left, and did not ask for it`);
  }

  private expired(id: string, program: Program, ttlMs: number, sequence: number): void {
    const { renewedAt } = this.of(program);
    const silence = this.now() - renewedAt;
    if (this.isIsland(ttlMs)) return;
    if (silence < ttlMs - blurMs) {
      this.violate("external", `event ${sequence}: ${id} expires ${Math.round(silence)} ms after it was renewed`);
    }
    const away = this.away(renewedAt);
    if (silence - away < ttlMs - awayMs.slack) {
      const what = `${Math.round(silence)} ms after it was renewed, ${Math.round(away)} of which the bus was away`;
      this.violate("external", `event ${sequence}: ${id} expires ${what}`);
    }
    // Whatever kept it from being heard for so long kept the leader from hearing anybody.
    const ms = silence + ttlMs;
    if (program.keepsSince === undefined || this.now() - program.keepsSince < ttlMs) return;
    if (!this.troubles.isClean(program.place, ms)) return;
    const isLost = (kind: string): boolean =>
      controllerNames.some((name) => this.troubles.lasted(name, kind, this.now() - ms) > 0);
    if (losing.some(isLost)) return;
    this.violate("external", `event ${sequence}: ${id} expires though it was said again all the time`);
  }

  /** What a program was told, or says, may be another leader's. */
  private isIsland(ms: number): boolean {
    return this.troubles.lasted("bus", "island", this.now() - islandMs - ms) > 0;
  }

  /** For how long since then nobody can have been heard, milliseconds; less where that is not sure. */
  private away(since: number): number {
    const lasted = (kind: string): number => this.troubles.lasted("bus", kind, since, awayMs.least);
    const [killed, frozen] = [lasted("busKill"), lasted("busFreeze")];
    // One that ends brings the server back whatever else has stopped it.
    const was = (kind: string): boolean => this.troubles.lasted("bus", kind, since - longestMs) > 0;
    const isMixed = (was("busKill") && was("busFreeze")) || alsoBack.some(was);
    return isMixed ? 0 : killed + frozen;
  }

  /** To be called from time to time: what nobody renews must not stay. */
  look(): void {
    const { state } = this.observer;
    this.heedLosses();
    if (state.epoch !== this.epoch) {
      this.epoch = state.epoch;
      this.electedAt = this.now();
    }
    for (const [id, { at, ttlMs }] of this.known) {
      const program = this.programs.get(id);
      const saidAt = program === undefined ? -Infinity : this.of(program).saidAt;
      const ms = this.now() - Math.max(saidAt, at, this.electedAt);
      const places = ["bus", ...controllerNames, ...(program === undefined ? [] : [program.place])];
      if (ms < ttlMs + lateMs || !places.every((place) => this.troubles.isClean(place, ms + calmMs))) continue;
      this.violate("external", `${id} is still there ${Math.round(ms)} ms after its last word, with a ttl of ${ttlMs}`);
      this.known.delete(id);
    }
  }

  /** What a proxy has written down of the endpoints. */
  onTable(proxy: string, { parts }: Table): void {
    const places = ["bus", proxy, ...controllerNames];
    const isTold =
      this.now() - this.ledSince > knownMs && places.every((place) => this.troubles.isClean(place, cleanMs));
    if (this.known.size + this.gone.size === 0 || !isTold) return;
    const told = new Map(
      parts.flatMap(([key, , value]) =>
        (value as Shard).endpoints === undefined ? [] : externalsIn(key, value as Shard),
      ),
    );
    for (const [id, { at, addresses }] of this.known) {
      const has = told.get(id);
      const is = addresses.map(({ host, port }) => `${host}:${port}`).join();
      if (this.now() - at > knownMs && has !== is)
        this.violate("7", `proxy ${proxy} has ${has ?? "nothing"} for the external endpoint ${id}, which is at ${is}`);
    }
    if (this.troubles.had("bus", "bucketGone", remadeMs)) return;
    for (const [id, { at }] of this.gone) {
      if (this.now() - at > knownMs && told.has(id))
        this.violate("7", `proxy ${proxy} still has the external endpoint ${id}, which is gone`);
    }
  }

  /** What is not as it should be with all programs at rest. */
  unsettled(): string[] {
    return [...this.programs].flatMap(([id, { keepsSince }]) => {
      if ((keepsSince !== undefined) === this.known.has(id)) return [];
      return [
        `external endpoint ${id} is ${this.known.has(id) ? "there and not renewed" : "not there though it is renewed"}`,
      ];
    });
  }

  private of(program: Program): Record {
    return this.records.get(program) ?? { id: "", saidAt: -Infinity, renewedAt: -Infinity, leftAt: -Infinity };
  }

  /** What a log lost is not known any more. */
  private heedLosses(): void {
    if (this.losses === this.observer.losses.length) return;
    this.losses = this.observer.losses.length;
    for (const [id] of this.known) if (!this.observer.state.external.has(id)) this.known.delete(id);
    this.gone.clear();
    this.ledSince = Infinity;
  }

  private violate(invariant: string, message: string): void {
    this.observer.violate(invariant, message);
  }
}

interface Shard {
  readonly endpoints?: readonly {
    readonly pod: string;
    readonly external?: boolean;
    readonly addresses: readonly PodAddress[];
  }[];
}

/** Endpoint → where a proxy finds it. */
function externalsIn(key: string, { endpoints = [] }: Shard): [string, string][] {
  const [namespace = "", service = ""] = key.split(/[/.]/);
  return endpoints.flatMap(({ pod, external, addresses }) => {
    if (external !== true) return [];
    const name = pod.slice(pod.indexOf("/") + 1);
    const at = addresses.map(({ host, hostPort }) => `${host}:${hostPort}`).join();
    return [[externalId(namespace, service, name), at] as [string, string]];
  });
}
