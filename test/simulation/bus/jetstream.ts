// JetStream of the simulated server: its streams and consumers, and what can go wrong with them. Requests of the client
// library come as calls (`library.ts`), those of Swain as JSON (`api.ts`).
import { conflicts } from "../../../services/bus/jetstream-api.ts";
import type { ApiFailure, ApiResult } from "../../../services/bus/jetstream-api.ts";
import type { Cancel, Clock } from "../../../services/kernel/clock.ts";
import type { Random } from "../../../services/kernel/ids.ts";
import { answerApi, infoOf } from "./api.ts";
import { withQuorum } from "./cluster.ts";
import type { Cluster } from "./cluster.ts";
import type { Answering } from "./connection.ts";
import { copyOf, PushConsumer } from "./consumer.ts";
import type { ConsumerConfig, Copy } from "./consumer.ts";
import { Disk } from "./disk.ts";
import { Packet } from "./message.ts";
import { matcher } from "./routes.ts";
import { Stream } from "./stream.ts";
import type { Appending, Config, Stored } from "./stream.ts";

/** What JetStream needs of the server around it. */
export interface JetStreamHost {
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: { appends: number; puts: number; conflicts: number };
  /** Sends to whoever listens and is reached from that server; false when nobody does. */
  send(packet: Packet, from?: number): boolean;
  isFrozen(): boolean;
  /** The outcome of a write stays unknown to its sender. */
  hidden(): void;
}

export interface JetStreamOptions {
  readonly synced: boolean;
  /** How often an unsynced server syncs. */
  readonly syncIntervalMs: number;
  /** Least and most that a synced write takes. */
  readonly writeMs: readonly [number, number];
  readonly acksDuplicates: boolean;
  /** Undefined where there is one server. */
  readonly cluster: Cluster | undefined;
}

export interface Acknowledged {
  readonly sequence: number;
  readonly duplicate: boolean;
}

/** Undefined: nobody answers for JetStream. */
export type Acknowledge = (result: ApiResult<Acknowledged> | undefined) => void;

/** What becomes of a write whose outcome its sender must not learn: of the next one that fits. */
interface Hidden {
  readonly outcome: "stored" | "lost";
  readonly fits: (data: Uint8Array) => boolean;
}

/** Messages that a stream takes. */
interface Taken {
  readonly stream: Stream;
  /** Of their subjects, where it is always the same. */
  readonly first: number | undefined;
  readonly matches: (subject: string) => boolean;
}

/** Who loses its consumer when the leader of a stream moves: those on one server of three. */
const hitByMove = 1 / 3;
const consumerTickMs = 1000;
/** Streams sync that share of an interval after each other, so that none does together with another. */
const syncShare = 0.618;

export class JetStream implements Answering {
  readonly streams = new Map<string, Stream>();
  isFull = false;
  private readonly host: JetStreamHost;
  private readonly options: JetStreamOptions;
  private readonly disk: Disk;
  private readonly consumers = new Map<Stream, Map<string, PushConsumer>>();
  /** What each stream takes. */
  private taken: Taken[] = [];
  private readonly hidden = new Map<string, Hidden[]>();
  /** Called once, while the stream's next write is under way. */
  private readonly broken = new Map<string, () => void>();
  private readonly startedAt: number;
  /** When somebody had the machine write all of it to disk. */
  private flushedAt: number;
  private movingUntil = -Infinity;
  /** Copies on a server that follows no more. */
  private readonly behind = new Map<Stream, Copy>();
  /** How many consumers run on that server. */
  private behindShare = 0;
  private made = 0;
  private ticking: Cancel | undefined;

  constructor(host: JetStreamHost, options: JetStreamOptions) {
    this.host = host;
    this.options = options;
    this.startedAt = host.clock.mono();
    this.flushedAt = this.startedAt;
    this.disk = new Disk(host.clock, host.random, options.writeMs, () => host.isFrozen());
  }

  /** Whether a request is answered now: while the leader of the streams moves, some are refused and some are lost. */
  reach(): "answers" | "refuses" | "silent" {
    if (this.host.clock.mono() >= this.movingUntil) return "answers";
    return this.host.random.next() < 0.5 ? "refuses" : "silent";
  }

  info(stream: Stream): unknown {
    const isLed = this.host.clock.mono() >= this.movingUntil;
    return infoOf(stream, this.options.cluster?.peersOf(stream.name, isLed));
  }

  /** Answers `$JS.API.<verb>`, if there is anything to answer. */
  answer(packet: Packet): boolean {
    const result = answerApi(this, packet);
    if (result === undefined) return false;
    if (packet.reply !== undefined) this.host.send(new Packet(packet.reply, JSON.stringify(result.value)));
    result.after?.();
    return true;
  }

  /** The stream that takes messages of a subject. */
  taking(subject: string): Stream | undefined {
    const first = subject.charCodeAt(0);
    for (const one of this.taken) {
      if ((one.first === first || one.first === undefined) && one.matches(subject)) return one.stream;
    }
    return undefined;
  }

  /** Stores a message, once it is on disk where writes are synced. */
  append(wanted: Appending & { readonly expectedStream?: string }, acknowledge: Acknowledge): void {
    const stream = this.taking(wanted.subject);
    if (stream === undefined) {
      acknowledge(undefined);
      return;
    }
    if (wanted.expectedStream !== undefined && wanted.expectedStream !== stream.name) {
      acknowledge({ failure: { code: 10060, description: "expected stream does not match" } });
      return;
    }
    const outcome = this.takeHidden(stream, wanted.data);
    if (outcome === "lost") return;
    const run = (acknowledged: boolean): void => {
      const result = this.store(stream, wanted);
      if (acknowledged && outcome === undefined) acknowledge(result);
    };
    if (this.options.synced) this.disk.write(run);
    else run(true);
    const breaks = this.broken.get(stream.name);
    this.broken.delete(stream.name);
    breaks?.();
  }

  /** Stores at once; gives the sequence. */
  store(stream: Stream, wanted: Appending): ApiResult<Acknowledged> {
    const { counters } = this.host;
    const result = stream.append(wanted, this.isFull);
    if ("failure" in result) {
      if (conflicts.has(result.failure.code)) counters.conflicts += 1;
      return result;
    }
    const { stored, before, duplicate } = result.ok;
    if (!duplicate) {
      if (stream.name.startsWith("KV_")) counters.puts += 1;
      else counters.appends += 1;
      this.republish(stream, stored, before);
      const consumers = this.consumers.get(stream);
      if (consumers !== undefined) for (const consumer of consumers.values()) consumer.pump();
    }
    return { ok: { sequence: stored.sequence, duplicate } };
  }

  /** Makes a stream; an equal one may be there already. */
  create(name: string, config: Config): ApiResult<Stream> {
    const found = this.streams.get(name);
    if (found !== undefined) {
      if (JSON.stringify(found.config) === JSON.stringify(config)) return { ok: found };
      return { failure: { code: 10058, description: "stream name already in use with a different configuration" } };
    }
    const overlap = this.overlapping(config);
    if (overlap !== undefined) return { failure: overlap };
    this.made += 1;
    const { clock } = this.host;
    const { synced, syncIntervalMs, acksDuplicates } = this.options;
    // Each stream syncs by a timer of its own.
    const offsetMs = ((this.made * syncShare) % 1) * syncIntervalMs;
    const syncedAt = (now: number): number => {
      const since = now - this.startedAt - offsetMs;
      const last = this.startedAt + Math.floor(since / syncIntervalMs) * syncIntervalMs + offsetMs;
      return Math.max(last, this.flushedAt);
    };
    const stamp = new Date(Math.floor(clock.wall())).toISOString().slice(0, -1);
    const stream = new Stream({
      config,
      created: `${stamp}${String(this.made).padStart(6, "0")}Z`,
      acksDuplicates,
      clock,
      syncedAt: synced ? undefined : syncedAt,
    });
    this.streams.set(name, stream);
    this.streamsChanged();
    return { ok: stream };
  }

  /** All that was stored before that time is on disk now, or all that is, as after the command of that name on the server's machine. */
  sync(before: number = Infinity): void {
    const { clock } = this.host;
    // Times of records are whole milliseconds.
    const ago = before === Infinity ? 0 : clock.wall() - before + 1;
    this.flushedAt = Math.max(this.flushedAt, clock.mono() - ago);
  }

  update(stream: Stream, config: Config): void {
    stream.config = config;
    this.streamsChanged();
  }

  delete(stream: Stream): void {
    this.streams.delete(stream.name);
    this.consumers.delete(stream);
    this.behind.delete(stream);
    this.streamsChanged();
  }

  consumersOf(stream: Stream): ReadonlyMap<string, PushConsumer> {
    return this.consumers.get(stream) ?? new Map<string, PushConsumer>();
  }

  addConsumer(stream: Stream, config: ConsumerConfig): PushConsumer {
    const { cluster } = this.options;
    // None is made on a server that is cut off.
    const at = cluster?.any(cluster.island?.at) ?? withQuorum;
    const send = (packet: Packet): boolean => this.host.send(packet, at);
    const consumer = new PushConsumer(at, stream, config, send, this.anyCopy(stream));
    const others = this.consumers.get(stream) ?? new Map<string, PushConsumer>();
    others.set(config.name, consumer);
    this.consumers.set(stream, others);
    this.ticking ??= this.host.clock.every(consumerTickMs, () => this.tick());
    return consumer;
  }

  removeConsumer(stream: Stream, name: string): boolean {
    return this.consumers.get(stream)?.delete(name) === true;
  }

  /** The outcome of the stream's next write that fits stays unknown to its sender. */
  hideOutcome(stream: string, outcome: Hidden["outcome"], fits: Hidden["fits"] = () => true): void {
    this.hidden.set(stream, [...(this.hidden.get(stream) ?? []), { outcome, fits }]);
  }

  /** Has it happen while the stream's next write is under way; the returned function ends the waiting for it. */
  atNextWrite(stream: string, breaks: () => void): Cancel {
    this.broken.set(stream, breaks);
    return () => {
      if (this.broken.get(stream) === breaks) this.broken.delete(stream);
    };
  }

  move(ms: number): void {
    this.elects(ms);
    this.options.cluster?.elect();
    for (const consumers of this.consumers.values()) {
      for (const name of consumers.keys()) if (this.host.random.next() < hitByMove) consumers.delete(name);
    }
  }

  /** A server stops following its streams, but goes on to serve its share of their consumers. */
  fallBehind(share: number): void {
    this.behindShare = share;
    for (const stream of this.streams.values()) {
      this.behind.set(stream, copyOf(stream));
      for (const consumer of this.remaining(stream)) consumer.follow(this.anyCopy(stream));
    }
  }

  /** Every copy has everything again. */
  catchUp(): void {
    const streams = [...this.behind.keys()];
    this.behind.clear();
    for (const stream of streams) for (const consumer of this.remaining(stream)) consumer.follow(undefined);
  }

  /** One of three servers is cut off from the others: its consumers send what it holds to its own clients. */
  isolate(which: number | undefined, electionMs: number): void {
    const { cluster } = this.options;
    if (cluster === undefined || cluster.island !== undefined) return;
    const at = which ?? cluster.any();
    const island = cluster.isolate(at, this.streams.values());
    for (const stream of this.streams.values()) {
      const copy = copyOf(stream);
      for (const consumer of this.consumersOf(stream).values()) if (consumer.at === at) consumer.follow(copy);
    }
    if (island.hasLed) this.elects(electionMs);
  }

  rejoin(): void {
    const { cluster } = this.options;
    const at = cluster?.island?.at;
    if (at === undefined) return;
    cluster?.rejoin();
    for (const consumers of this.consumers.values()) {
      for (const consumer of consumers.values()) if (consumer.at === at) consumer.follow(undefined);
    }
  }

  dropConsumers(): void {
    this.consumers.clear();
  }

  thaw(): void {
    this.disk.resume();
  }

  /** The process is gone, and with it what it held in memory. */
  killed(): void {
    this.disk.crash();
    this.movingUntil = -Infinity;
    this.options.cluster?.rejoin();
    this.options.cluster?.elect();
    this.behind.clear();
    this.consumers.clear();
  }

  powerCut(): void {
    this.killed();
    for (const stream of this.streams.values()) stream.powerCut();
  }

  wipe(): void {
    this.rejoin();
    this.behind.clear();
    this.consumers.clear();
    this.streams.clear();
    this.streamsChanged();
  }

  private elects(ms: number): void {
    this.movingUntil = this.host.clock.mono() + ms;
    this.disk.crash();
  }

  /** The stream's consumers that are not on a server that is cut off. */
  private remaining(stream: Stream): PushConsumer[] {
    const apart = this.options.cluster?.island?.at;
    return [...this.consumersOf(stream).values()].filter(({ at }) => apart === undefined || at !== apart);
  }

  private anyCopy(stream: Stream): Copy | undefined {
    const copy = this.behind.get(stream);
    return copy !== undefined && this.host.random.next() < this.behindShare ? copy : undefined;
  }

  private takeHidden(stream: Stream, data: Uint8Array): Hidden["outcome"] | undefined {
    const waiting = this.hidden.get(stream.name) ?? [];
    const found = waiting.find(({ fits }) => fits(data));
    if (found === undefined) return undefined;
    waiting.splice(waiting.indexOf(found), 1);
    this.host.hidden();
    return found.outcome;
  }

  private republish(stream: Stream, stored: Stored, before: number): void {
    const { src, dest } = (stream.config["republish"] ?? {}) as { src?: string; dest?: string };
    if (src === undefined || dest === undefined || !matcher(src)(stored.subject)) return;
    const subject = `${dest.slice(0, -1)}${stored.subject.slice(src.length - 1)}`;
    const headers = {
      ...stored.headers,
      "Nats-Stream": stream.name,
      "Nats-Subject": stored.subject,
      "Nats-Sequence": String(stored.sequence),
      "Nats-Last-Sequence": String(before),
    };
    this.host.send(new Packet(subject, stored.data, undefined, headers));
  }

  private overlapping(config: Config): ApiFailure | undefined {
    const subjects = config["subjects"] as readonly string[];
    for (const stream of this.streams.values()) {
      for (const taken of stream.config["subjects"] as readonly string[]) {
        if (subjects.some((wanted) => matcher(taken)(wanted) || matcher(wanted)(taken))) {
          return { code: 10065, description: "subjects overlap with an existing stream" };
        }
      }
    }
    return undefined;
  }

  private streamsChanged(): void {
    this.taken = [...this.streams.values()].flatMap((stream) =>
      (stream.config["subjects"] as readonly string[]).map((filter) => ({
        stream,
        first: /^[*>]/.test(filter) ? undefined : filter.charCodeAt(0),
        matches: matcher(filter),
      })),
    );
  }

  private tick(): void {
    if (this.host.isFrozen()) return;
    const now = this.host.clock.mono();
    let count = 0;
    for (const consumers of this.consumers.values()) {
      for (const [name, consumer] of consumers) {
        if (!consumer.tick(now)) consumers.delete(name);
      }
      count += consumers.size;
    }
    if (count > 0) return;
    this.ticking?.();
    this.ticking = undefined;
  }
}
