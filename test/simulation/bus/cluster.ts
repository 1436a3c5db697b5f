// Three servers instead of one: which of them leads each stream and which serves a client or a consumer, and one that is
// cut off from the other two together with its clients. It answers from its copies what it may, and those it leads it goes
// on to lead until it notices; nothing is written there.
import { infoOf } from "./api.ts";
import type { Call, CallAnswer } from "./connection.ts";
import type { Clock } from "../../../services/kernel/clock.ts";
import type { Random } from "../../../services/kernel/ids.ts";
import type { Packet } from "./message.ts";
import type { Stream } from "./stream.ts";

/** What the state of a stream with several replicas says of its servers. */
export interface Peers {
  readonly leader?: string;
  readonly replicas: readonly { readonly name: string; readonly active: number }[];
}

const count = 3;
/** The server from which comes what those send that have a quorum. */
export const withQuorum = -1;
/** Leaders hear the others so often. */
const heardMs = 1000;
const nanosPerMs = 1_000_000;
/** A leader looks every 10 s for a quorum heard in the last 10 s. */
const noticesMs = [10_000, 20_000] as const;
/** A follower waits so long for its leader. */
const followsMs = [4000, 9000] as const;
const infoPrefix = "$JS.API.STREAM.INFO.";

export class Cluster {
  private readonly clock: Pick<Clock, "mono">;
  private readonly random: Random;
  /** Of each stream, by name. */
  private readonly leaders = new Map<string, number>();
  private changedAt = -Infinity;
  private cutOff: Island | undefined;

  constructor(clock: Pick<Clock, "mono">, random: Random) {
    this.clock = clock;
    this.random = random;
  }

  /** The one that is cut off from the others. */
  get island(): Island | undefined {
    return this.cutOff;
  }

  /** Any server; not that one. */
  any(but?: number): number {
    const drawn = Math.floor(this.random.next() * (but === undefined ? count : count - 1));
    return but !== undefined && drawn >= but ? drawn + 1 : drawn;
  }

  /** Whether what comes from a client of one reaches the clients of another. */
  joins(one: number, other: number): boolean {
    return this.cutOff === undefined || (one === this.cutOff.at) === (other === this.cutOff.at);
  }

  isApart(at: number): boolean {
    return !this.joins(at, withQuorum);
  }

  leaderOf(stream: string): number {
    const known = this.leaders.get(stream);
    if (known !== undefined) return known;
    const drawn = this.any(this.cutOff?.at);
    this.leaders.set(stream, drawn);
    return drawn;
  }

  /** Those that lead are followed by others. */
  elect(): void {
    this.changedAt = this.clock.mono();
    this.leaders.clear();
  }

  /** `isLed`: false while none is elected. */
  peersOf(stream: string, isLed: boolean): Peers {
    const now = this.clock.mono();
    const leader = this.leaderOf(stream);
    const hasHeard = now - this.changedAt > heardMs;
    const replicas = [0, 1, 2]
      .filter((at) => at !== leader)
      .map((at) => ({ name: nameOf(at), active: hasHeard ? this.activeOf(at, now) : 0 }));
    return isLed ? { leader: nameOf(leader), replicas } : { replicas };
  }

  /** Cuts a server off, with what the streams hold now. */
  isolate(at: number, streams: Iterable<Stream>): Island {
    const notices = new Map<string, number>();
    const copies = [...streams].map((stream) => stream.copy());
    for (const { name } of copies) if (this.leaderOf(name) === at) notices.set(name, this.between(noticesMs));
    this.cutOff = new Island(this.clock, { at, copies, notices, followsMs: this.between(followsMs) });
    if (notices.size > 0) this.elect();
    return this.cutOff;
  }

  rejoin(): void {
    this.cutOff = undefined;
  }

  private activeOf(at: number, now: number): number {
    const ms = at === this.cutOff?.at ? now - this.cutOff.since : (now + at * 300) % heardMs;
    return Math.ceil((ms + 1) * nanosPerMs);
  }

  private between([least, most]: readonly [number, number]): number {
    return least + (most - least) * this.random.next();
  }
}

interface IslandParts {
  readonly at: number;
  readonly copies: readonly Stream[];
  /** Of each stream that it led when it was cut off, after how long it notices. */
  readonly notices: ReadonlyMap<string, number>;
  /** For so long it waits for the leaders of all others. */
  readonly followsMs: number;
}

export class Island {
  readonly at: number;
  readonly since: number;
  readonly streams: ReadonlyMap<string, Stream>;
  private readonly clock: Pick<Clock, "mono">;
  private readonly parts: IslandParts;

  constructor(clock: Pick<Clock, "mono">, parts: IslandParts) {
    this.clock = clock;
    this.parts = parts;
    this.at = parts.at;
    this.since = clock.mono();
    this.streams = new Map(parts.copies.map((copy) => [copy.name, copy]));
  }

  /** A request of the client library. */
  call(call: Call, answer: CallAnswer): void {
    const { asks, stream } = call;
    if (asks === "change" || (asks === "content" && !this.leads(stream))) return;
    if (this.tellsOf(stream)) call.run(this, answer);
  }

  /** Of requests in JSON only those for the state of a stream are answered: undefined for all others. */
  answer({ subject }: Packet): unknown {
    const copy = subject.startsWith(infoPrefix) ? this.streams.get(subject.slice(infoPrefix.length)) : undefined;
    return copy !== undefined && this.tellsOf(copy.name) ? this.info(copy) : undefined;
  }

  info(copy: Stream): unknown {
    const active = Math.ceil((this.elapsedMs + 1) * nanosPerMs);
    const replicas = [0, 1, 2].filter((at) => at !== this.at).map((at) => ({ name: nameOf(at), active }));
    return infoOf(copy, this.leads(copy.name) ? { leader: nameOf(this.at), replicas } : { replicas });
  }

  append(): void {}

  /** Others have to be elected in its place. */
  get hasLed(): boolean {
    return this.parts.notices.size > 0;
  }

  private get elapsedMs(): number {
    return this.clock.mono() - this.since;
  }

  /** It has not noticed yet that it lost the others. */
  private leads(stream: string): boolean {
    return this.elapsedMs < (this.parts.notices.get(stream) ?? 0);
  }

  /** One that waits for a leader leaves the answer to it. */
  private tellsOf(stream: string): boolean {
    return this.streams.has(stream) && (this.parts.notices.has(stream) || this.elapsedMs >= this.parts.followsMs);
  }
}

const nameOf = (at: number): string => `s${at + 1}`;
