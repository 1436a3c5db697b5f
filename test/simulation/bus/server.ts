// The simulated nats-server with JetStream: one per cluster, in the process of the simulation, on its virtual time. It
// answers as real servers were measured to, and breaks as the fault injector asks.
//
// Not simulated: permissions, accounts, queue groups, flow control, and the windows of TCP (a direction that is cut holds
// any amount of data, up to the point where a server drops a slow consumer).
import type { Cancel, Clock } from "../../../services/kernel/clock.ts";
import type { Random } from "../../../services/kernel/ids.ts";
import { featuresOf } from "../../../services/bus/features.ts";
import { valueOf } from "../../../services/bus/jetstream-api.ts";
import { subjectsOf } from "../../../services/bus/subjects.ts";
import type { Subjects } from "../../../services/bus/subjects.ts";
import { isApi } from "./api.ts";
import { SimBus } from "./client.ts";
import type { ClientOptions } from "./client.ts";
import { Cluster, withQuorum } from "./cluster.ts";
import { Connection } from "./connection.ts";
import type { Call, CallAnswer, Sink, UpFrame } from "./connection.ts";
import { Delivered } from "./consumer.ts";
import { JetStream } from "./jetstream.ts";
import type { JetStreamOptions } from "./jetstream.ts";
import { Keys } from "./keys.ts";
import { Meddler } from "./meddler.ts";
import { Delivery, Packet } from "./message.ts";
import type { Subscription } from "./message.ts";
import { News } from "./news.ts";
import { Readings } from "./readings.ts";
import type { Stored } from "./stream.ts";
import { Routes } from "./routes.ts";

export interface ServerOptions extends Partial<Omit<JetStreamOptions, "synced" | "cluster">> {
  readonly clock: Clock;
  readonly random: Random;
  /** True: each write is on disk before it is acknowledged. */
  readonly synced: boolean;
  readonly cluster: string;
  /** 1 when it is not given. */
  readonly servers?: 1 | 3;
  readonly version?: string;
  readonly maxPayload?: number;
  /** A connection with more messages than this on their way is dropped, as that of a slow consumer. */
  readonly mostWaiting?: number;
}

/** Totals since the server was made. */
export interface Counters {
  /** Received from clients. */
  messages: number;
  /** Sent to subscriptions. */
  deliveries: number;
  appends: number;
  puts: number;
  conflicts: number;
  connections: number;
  reconnects: number;
  powerCuts: number;
}

const noLog = { first: 1, last: 0, get: (): undefined => undefined };

/** The server pings a silent client this often, and gives it up at the first time after two went unanswered. */
const pingIntervalMs = 120_000;
const mostUnanswered = 2;
/** A quarter of a million small messages are the 64 MiB at which a server drops a slow consumer. */
const mostWaiting = 250_000;

export class SimServer {
  readonly counters: Counters = {
    messages: 0,
    deliveries: 0,
    appends: 0,
    puts: 0,
    conflicts: 0,
    connections: 0,
    reconnects: 0,
    powerCuts: 0,
  };
  private readonly options: ServerOptions;
  private readonly names: Subjects;
  private readonly js: JetStream;
  private readonly servers: Cluster | undefined;
  private readonly routes = new Routes<Sink>();
  private readonly connections = new Set<Connection>();
  private readonly news: News;
  /** What lies in the buckets. */
  readonly keys: Keys;
  readonly meddler: Meddler;
  /** Messages on these get lost. */
  readonly muted = new Set<string>();
  /** Told each message that a client published, as it came. */
  onSubject: (subject: string, data: Uint8Array) => void = () => {};
  /** Told when the outcome of a write is hidden from its sender. */
  onHidden: () => void = () => {};
  readonly readings: Readings;
  private running = true;
  /** The machine itself is off: nobody even refuses. */
  private isOff = false;
  private frozen = false;
  /** What came while it stood still. */
  private backlog: [Connection, UpFrame][] = [];
  private pinging: Cancel | undefined;
  private ids = 0;

  constructor(options: ServerOptions) {
    this.options = options;
    this.names = subjectsOf(options.cluster);
    this.news = new News(options.clock, this.names);
    const { clock, random, synced } = options;
    this.servers = options.servers === 3 ? new Cluster(clock, random) : undefined;
    this.js = new JetStream(
      {
        clock,
        random,
        counters: this.counters,
        send: (packet, from) => this.send(packet, from),
        isFrozen: () => this.frozen,
        hidden: () => this.onHidden(),
      },
      {
        synced,
        syncIntervalMs: options.syncIntervalMs ?? 120_000,
        writeMs: options.writeMs ?? [0.5, 1.5],
        acksDuplicates: options.acksDuplicates ?? false,
        cluster: this.servers,
      },
    );
    this.keys = new Keys(this.js.streams);
    this.readings = new Readings(this.names.stream);
    this.meddler = new Meddler(this.js, this.names);
  }

  /** A connected bus; resolves when the server was reached. */
  async connect(options: ClientOptions): Promise<SimBus> {
    this.ids += 1;
    const { servers } = this;
    let at = servers?.any() ?? withQuorum;
    const bus = new SimBus({
      ...options,
      choose: servers && (() => void (at = servers.any(at))),
      // Says in every reply subject and consumer whose it is.
      token: `${options.name.replace(/[^\w-]/g, "_")}-${this.ids}`,
      features: featuresOf(this.options.version ?? "2.14.3"),
      maxPayload: this.options.maxPayload ?? 1024 * 1024,
      dial: (receive) =>
        new Connection({
          name: options.name,
          at,
          link: options.link,
          random: this.options.random,
          serverClock: this.options.clock,
          clientClock: options.clock,
          onUp: (connection, frame) => this.receive(connection, frame),
          onDown: receive,
        }),
    });
    await bus.connect();
    return bus;
  }

  /** Ends the process: connections break, subscriptions and consumers are gone, what is stored stays. */
  kill(): void {
    if (!this.running) return;
    this.halt();
    this.js.killed();
    // What the kernel has sent may still arrive; where it resets the connection, that is lost.
    this.drop((connection) => connection.endByServer(this.options.random.next() < 0.5));
  }

  /**
   * The machine goes off, and with it what an unsynced server had not synced. `silently`: nobody tells the clients; they
   * notice by their pings, or when the machine is back and knows nothing of them.
   */
  powerCut({ silently = false } = {}): void {
    this.counters.powerCuts += 1;
    if (this.running) this.halt();
    this.js.powerCut();
    this.isOff = true;
    this.drop((connection) => {
      if (silently) connection.vanish();
      else connection.endByServer(true);
    });
  }

  /** Of three servers those two lose their power to which no part is connected, and with it what was not on disk. */
  othersPowerCut(): void {
    this.js.powerCut();
  }

  /** All that is stored is on disk from now on; or all that was stored before that record of the log. */
  sync(before?: number): void {
    const record = before === undefined ? undefined : this.log().get(before);
    this.js.sync(record?.time);
  }

  start(): void {
    this.running = true;
    this.isOff = false;
  }

  /** The process stands still; connections stay, and what comes waits. */
  freeze(): void {
    this.frozen = this.running;
  }

  thaw(): void {
    this.frozen = false;
    const { backlog } = this;
    this.backlog = [];
    for (const [connection, frame] of backlog) this.receive(connection, frame);
    this.js.thaw();
  }

  /** All streams and buckets are gone, until `ensureStreams` makes them again. */
  wipe(): void {
    this.js.wipe();
  }

  /** The stream leader moves: JetStream is refused or silent for that time, core NATS goes on. */
  leaderMove(ms: number): void {
    this.js.move(ms);
  }

  /** One server of several stops following its streams until `catchUp`, but goes on to serve its share of their readers. */
  fallBehind(share: number): void {
    this.js.fallBehind(share);
  }

  catchUp(): void {
    this.js.catchUp();
  }

  /** One of three servers is cut off from the others until `rejoin`, and with it its clients: the one of that client, or any. */
  isolate(client: string | undefined, electionMs: number): void {
    const its = [...this.connections].find(({ name }) => name === client);
    this.js.isolate(its?.at, electionMs);
  }

  rejoin(): void {
    this.js.rejoin();
  }

  /** True: no room for records and keys. */
  fill(isFull: boolean): void {
    this.js.isFull = isFull;
  }

  /** The sender of the stream's next write that fits gets no answer: it was stored, or it was lost. */
  hideOutcome(
    outcome: "stored" | "lost",
    stream: string = this.names.stream,
    fits?: (data: Uint8Array) => boolean,
  ): void {
    this.js.hideOutcome(stream, outcome, fits);
  }

  /** While the next append to the log is under way. */
  atNextAppend(breaks: () => void): Cancel {
    return this.js.atNextWrite(this.names.stream, breaks);
  }

  /** The log as it is stored now; empty while there is none. */
  log(): { readonly first: number; readonly last: number; get(sequence: number): Stored | undefined } {
    return this.js.streams.get(this.names.stream) ?? noLog;
  }

  /** All watches and followers lose their consumer, and are not told. */
  dropConsumers(): void {
    this.js.dropConsumers();
  }

  /** Nobody hears the next news of endpoints, neither from a consumer nor republished, and nobody is told. */
  loseNews(): void {
    this.news.loseNext();
  }

  /** Stores a record that no leader wrote; returns its sequence. */
  strayAppend(subject: string, data: Uint8Array, headers?: Record<string, string>): number {
    const stream = this.js.taking(subject);
    if (stream === undefined) throw new Error(`no stream takes ${subject}`);
    return valueOf(subject, this.js.store(stream, { subject, data, headers })).sequence;
  }

  /** Writes a key by hand, null to delete it, as `operation` says; returns its revision. */
  strayPut(bucket: string, key: string, value: string | null, operation: "DEL" | "PURGE" = "DEL"): number {
    const data = new TextEncoder().encode(value ?? "");
    return this.strayAppend(`$KV.${bucket}.${key}`, data, value === null ? { "KV-Operation": operation } : undefined);
  }

  private halt(): void {
    this.running = false;
    this.frozen = false;
    this.backlog = [];
    this.pinging?.();
    this.pinging = undefined;
  }

  private drop(end: (connection: Connection) => void): void {
    const { connections } = this;
    for (const connection of connections) {
      this.forget(connection);
      end(connection);
    }
  }

  private receive(connection: Connection, frame: UpFrame): void {
    if (this.frozen) {
      this.backlog.push([connection, frame]);
    } else if (!connection.accepted) {
      this.receiveFromUnknown(connection, frame);
    } else {
      connection.heard = true;
      if (frame.kind === "publish") this.onPublish(connection, frame);
      else if (frame.kind === "call") this.onCall(connection, frame);
      else if (frame.kind === "ping") connection.toClient({ kind: "pong", ping: frame });
      else if (frame.kind === "subscribe") this.subscribe(connection, frame.subscription);
      else if (frame.kind === "unsubscribe") this.unsubscribe(connection, frame.subscription);
      else if (frame.kind === "bye") {
        this.forget(connection);
        connection.close();
      }
    }
  }

  /** A new connection, or one this server does not know any more. */
  private receiveFromUnknown(connection: Connection, frame: UpFrame): void {
    if (this.isOff) return;
    if (frame.kind === "bye") {
      connection.close();
    } else if (frame.kind !== "hello") {
      connection.endByServer(false);
    } else if (!this.running) {
      connection.toClient({ kind: "refused" });
    } else {
      this.counters.connections += 1;
      if (frame.again) this.counters.reconnects += 1;
      connection.accepted = true;
      connection.token = frame.token;
      this.routes.usedOnce(frame.token);
      this.connections.add(connection);
      this.pinging ??= this.options.clock.every(pingIntervalMs, () => this.pingSilent());
      connection.toClient({ kind: "welcome" });
    }
  }

  private onPublish(connection: Connection, packet: Packet): void {
    this.counters.messages += 1;
    const { subject, reply } = packet;
    if (this.muted.has(subject)) return;
    this.onSubject(subject, packet.data);
    const sinks = this.sinksOf(subject, connection.at);
    for (const sink of sinks) this.deliver(sink, packet, true);
    if (this.servers?.isApart(connection.at) === true) this.onIsland(connection, packet, sinks.length);
    else if (this.js.taking(subject) !== undefined) this.capture(connection, packet);
    else if (isApi(subject)) this.onApi(connection, packet);
    else if (sinks.length === 0 && reply !== undefined) this.nobody(connection, reply);
  }

  /** What JetStream is sent there is answered from the server's copies, or not at all. */
  private onIsland(connection: Connection, packet: Packet, sinks: number): void {
    const { subject, reply } = packet;
    if (reply === undefined) return;
    const isJetStreams = this.js.taking(subject) !== undefined || isApi(subject);
    const answer = isJetStreams ? this.servers?.island?.answer(packet) : undefined;
    if (answer !== undefined) this.send(new Packet(reply, JSON.stringify(answer)), connection.at);
    else if (!isJetStreams && sinks === 0) this.nobody(connection, reply);
  }

  /** A message that nobody stated conditions for. */
  private capture(connection: Connection, packet: Packet): void {
    const { subject, data, headers, reply } = packet;
    const reach = this.js.reach();
    if (reach === "refuses" && reply !== undefined) this.nobody(connection, reply);
    if (reach !== "answers") return;
    this.js.append({ subject, data, headers }, (result) => {
      if (reply === undefined || result === undefined) return;
      const answer = "ok" in result ? { seq: result.ok.sequence } : { error: { err_code: result.failure.code } };
      this.send(new Packet(reply, JSON.stringify(answer)));
    });
  }

  private onApi(connection: Connection, packet: Packet): void {
    this.readings.look(packet, connection.name, this.log().last);
    if (!this.running) return;
    const reach = this.js.reach();
    if (
      reach !== "answers" &&
      this.isAskedUnled(packet.subject.startsWith("$JS.API.STREAM.INFO.")) &&
      this.js.answer(packet)
    )
      return;
    if (reach === "silent" || (reach === "answers" && this.js.answer(packet))) return;
    if (packet.reply !== undefined) this.nobody(connection, packet.reply);
  }

  private onCall(connection: Connection, call: Call): void {
    this.counters.messages += 1;
    if (call.packet !== undefined) {
      for (const sink of this.sinksOf(call.packet.subject, connection.at)) this.deliver(sink, call.packet, true);
    }
    const isApart = (): boolean => this.servers?.isApart(connection.at) === true;
    const wasApart = isApart();
    const answer: CallAnswer = (result) => {
      if (isApart() === wasApart) connection.messageToClient({ kind: "answer", call, result });
    };
    if (wasApart) {
      this.servers?.island?.call(call, answer);
      return;
    }
    const reach = this.js.reach();
    if (reach === "answers" || this.isAskedUnled(call.asks === "state")) call.run(this.js, answer);
    else if (reach === "refuses") answer(undefined);
  }

  /** Tells an asker at once that nobody listens. */
  private nobody(connection: Connection, reply: string): void {
    const packet = new Packet(reply, "", undefined, undefined, 503);
    for (const sink of this.routes.find(reply)) if (sink.connection === connection) this.deliver(sink, packet, true);
  }

  /** Where a stream has no leader, one of the other servers may answer for its state, and says so. */
  private isAskedUnled(isState: boolean): boolean {
    return this.servers !== undefined && isState && this.options.random.next() < 0.5;
  }

  /** Those who hear what comes from a client of that server, or from the server itself. */
  private sinksOf(subject: string, from: number): readonly Sink[] {
    const { servers } = this;
    const sinks = this.routes.find(subject);
    return servers?.island === undefined ? sinks : sinks.filter(({ connection }) => servers.joins(from, connection.at));
  }

  /** What the server sends by itself. */
  private send(packet: Packet, from: number = withQuorum): boolean {
    if (this.news.isLost(packet)) return true;
    const isConsumers = packet instanceof Delivered || packet.status === 100;
    const sinks = this.sinksOf(packet instanceof Delivered ? packet.inbox : packet.subject, from);
    for (const sink of sinks) this.deliver(sink, packet, !isConsumers);
    return sinks.length > 0;
  }

  private deliver({ connection, subscription }: Sink, packet: Packet, isMessage: boolean): void {
    this.counters.deliveries += 1;
    const delivery = new Delivery(packet, subscription);
    if (isMessage) connection.messageToClient(delivery);
    else connection.deliveryToClient(delivery, this.options.random);
    if (connection.waiting > (this.options.mostWaiting ?? mostWaiting)) this.giveUp(connection, true);
  }

  private subscribe(connection: Connection, subscription: Subscription): void {
    if (connection.sinks.has(subscription)) return;
    this.ids += 1;
    const sink = { id: this.ids, subject: subscription.subject, connection, subscription };
    connection.sinks.set(subscription, sink);
    this.routes.add(sink);
  }

  private unsubscribe(connection: Connection, subscription: Subscription): void {
    const sink = connection.sinks.get(subscription);
    if (sink === undefined) return;
    connection.sinks.delete(subscription);
    this.routes.remove(sink);
  }

  private pingSilent(): void {
    if (this.frozen) return;
    for (const connection of this.connections) {
      if (connection.heard) {
        connection.heard = false;
        connection.pings = 0;
      } else if (connection.pings === mostUnanswered) {
        this.giveUp(connection);
      } else {
        connection.pings += 1;
        connection.toClient({ kind: "ping" });
      }
    }
  }

  private giveUp(connection: Connection, abruptly = false): void {
    this.forget(connection);
    connection.endByServer(abruptly);
  }

  private forget(connection: Connection): void {
    if (!connection.accepted) return;
    connection.accepted = false;
    this.connections.delete(connection);
    this.routes.notUsed(connection.token);
    for (const sink of connection.sinks.values()) this.routes.remove(sink);
    connection.sinks.clear();
  }
}
