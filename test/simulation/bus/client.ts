// The bus of one simulated process. Log store, buckets, consumers, followers and their healing are the code that ships,
// over this connection; the rest is `nats-bus.ts` without NATS.
import type { Cancel, Clock } from "../../../services/kernel/clock.ts";
import { SwainError } from "../../../services/kernel/errors.ts";
import type { Random } from "../../../services/kernel/ids.ts";
import { silent } from "../../../services/kernel/log.ts";
import type { Logger } from "../../../services/kernel/log.ts";
import { JetStreamBucket } from "../../../services/bus/bucket.ts";
import type { ApiResult } from "../../../services/bus/jetstream-api.ts";
import { limits } from "../../../services/bus/limits.ts";
import { JetStreamLog } from "../../../services/bus/log.ts";
import type {
  Bucket,
  Bus,
  BusMessage,
  BusState,
  Features,
  LogStore,
  PublishOptions,
  SubscribeOptions,
} from "../../../services/bus/port.ts";
import { commandInbox } from "../../../services/bus/subjects.ts";
import type { Wire, WireMessage } from "../../../services/bus/wire.ts";
import { Deadlines } from "./deadlines.ts";
import type { Deadline } from "./deadlines.ts";
import { libraryOver, Refusal } from "./library.ts";
import type { Calling } from "./library.ts";
import type { Link } from "./link.ts";
import { bodyOf, headerBytes, Packet, sizeOf } from "./message.ts";
import type { Body, Headers } from "./message.ts";
import { Session } from "./session.ts";
import type { Dial } from "./session.ts";

export interface ClientOptions {
  /** Of the process: its timers stop while it is paused and are gone when it is killed. */
  readonly clock: Clock;
  readonly random: Random;
  /** Part of its reply subjects. */
  readonly name: string;
  readonly link: Link;
  /** Prefix of every reply subject, with or without its last dot. */
  readonly inboxPrefix?: string;
  readonly log?: Logger;
}

/** What the server tells a client of itself, and what it knows it by. */
export interface ClientParts extends ClientOptions {
  readonly dial: Dial;
  /** From the next connection on to another server; undefined where there is one. */
  readonly choose: (() => void) | undefined;
  readonly features: Features;
  readonly maxPayload: number;
  /** Not used by any other connection of the server. */
  readonly token: string;
}

interface RequestOptions {
  readonly timeoutMs: number;
  readonly headers?: Headers;
}

interface Waiting {
  readonly subject: string;
  readonly reply: string;
  readonly deadline: Deadline;
  readonly resolve: (answer: BusMessage) => void;
  readonly reject: (error: SwainError) => void;
}

interface Inboxes {
  readonly own: string;
  readonly any: string;
}

/** How long closing waits for consumers to be deleted and for the last messages to leave. */
const closeMs = 1000;
/** More than the headers take that the JetStream library adds. */
const libraryHeaderBytes = 512;
/** Command subjects of a fleet whose inbox is known by heart. */
const mostInboxes = 20_000;

export class SimBus implements Bus {
  readonly inboxPrefix: string;
  readonly features: Features;
  readonly hasOthers: boolean;
  private readonly parts: ClientParts;
  private readonly session: Session;
  private readonly wire: Wire;
  private readonly deadlines: Deadlines;
  private readonly library = libraryOver(this.calling());
  /** Requests by the last token of their reply subject. */
  private readonly waiting = new Map<number, Waiting>();
  private readonly calls = new Set<(error: SwainError) => void>();
  /** Inboxes that are subscribed to. */
  private readonly listening = new Set<string>();
  private readonly inboxes = new Map<string, Inboxes | undefined>();
  private readonly owned = new Set<Cancel>();
  private readonly work = new Set<Promise<void>>();
  private counter = 0;
  private draining = false;
  private closing: Promise<void> | undefined;

  constructor(parts: ClientParts) {
    this.parts = parts;
    this.features = parts.features;
    this.hasOthers = parts.choose !== undefined;
    this.deadlines = new Deadlines(parts.clock);
    this.inboxPrefix = `${(parts.inboxPrefix ?? "_INBOX").replace(/\.$/, "")}.`;
    this.session = new Session({ ...parts, log: parts.log ?? silent });
    this.wire = this.makeWire();
  }

  elsewhere(): void {
    this.parts.choose?.();
    this.session.leave();
  }

  /** Resolves when it is connected. */
  connect(): Promise<void> {
    return this.session.connect();
  }

  /** For a process that is killed: nothing is delivered any more, nobody here is told, and no promise settles. */
  abandon(): void {
    this.session.abandon();
    this.deadlines.endAll();
    this.waiting.clear();
    this.calls.clear();
    this.owned.clear();
  }

  state(): BusState {
    return this.session.state();
  }

  breaks(): number {
    return this.session.breaks();
  }

  onState(fn: (state: BusState) => void): Cancel {
    return this.session.onState(fn);
  }

  publish(subject: string, value: unknown, options: PublishOptions = {}): void {
    const body = bodyOf(value);
    const headers = headersOf(options.headers);
    this.checkSize(body, headers, subject);
    if (this.session.state() !== "connected" || this.draining) return;
    this.session.publish(new Packet(subject, body, options.reply, headers));
  }

  request(subject: string, value: unknown, options: RequestOptions): Promise<BusMessage> {
    const { timeoutMs } = options;
    const headers = headersOf(options.headers);
    let body: Body;
    try {
      body = bodyOf(value);
      this.checkSize(body, headers, subject);
    } catch (error) {
      return Promise.reject(error);
    }
    // Not an async function, and no step more than needed: most of what the bus carries are requests.
    if (this.session.state() === "connected") return this.ask(subject, body, headers, timeoutMs);
    return this.onceConnected(subject, timeoutMs, (left) => this.ask(subject, body, headers, left));
  }

  subscribe(subject: string, handler: (message: BusMessage) => void, options: SubscribeOptions = {}): Cancel {
    return this.wire.own(this.session.subscribe(subject, handler, options));
  }

  flush(timeoutMs: number): Promise<void> {
    return this.onceConnected("flush", timeoutMs, (left) => this.roundTrip(left));
  }

  log(stream: string): LogStore {
    return new JetStreamLog(this.wire, stream);
  }

  bucket(name: string): Bucket {
    return new JetStreamBucket(this.wire, name);
  }

  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    for (const cancel of this.owned) cancel();
    if (this.session.state() === "connected") {
      await this.within(closeMs, Promise.all(this.work)).catch(() => {});
      this.draining = true;
      await this.roundTrip(closeMs).catch(() => {});
    }
    this.session.close();
    this.deadlines.endAll();
    for (const { subject, reject } of this.waiting.values()) reject(closed(subject));
    this.waiting.clear();
    for (const fail of this.calls) fail(closed("JetStream"));
  }

  private ask(subject: string, body: Body, headers: Headers | undefined, timeoutMs: number): Promise<BusMessage> {
    return new Promise((resolve, reject) => {
      if (this.draining) throw closed(subject);
      const reply = this.replyFor(subject);
      const number = this.counter;
      const deadline = this.deadlines.set(timeoutMs, () => {
        this.waiting.delete(number);
        reject(new SwainError("TIMEOUT", `no answer in time from ${subject}`));
      });
      this.waiting.set(number, { subject, reply, deadline, resolve, reject });
      this.session.publish(new Packet(subject, body, reply, headers));
    });
  }

  private roundTrip(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = (): void => reject(new SwainError("TIMEOUT", "no answer in time: flush"));
      const timer = this.parts.clock.after(timeoutMs, late);
      const end = (settle: () => void) => () => {
        timer();
        settle();
      };
      // A flush in flight is given up by the client when the link breaks.
      this.session.trip(
        end(resolve),
        end(() => (this.session.state() === "closed" ? reject(closed("flush")) : late())),
      );
    });
  }

  private within<T>(ms: number, work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.parts.clock.after(ms, () => reject(new SwainError("TIMEOUT", "no answer in time: close")));
      work.finally(timer).then(resolve, reject);
    });
  }

  /** A reply subject of its own, below an inbox that is listened on: the node's for a command, else this connection's. */
  private replyFor(subject: string): string {
    const { token } = this.parts;
    const inbox = this.inboxFor(subject);
    const any = inbox?.any ?? this.inboxPrefix;
    if (!this.listening.has(any)) {
      this.listening.add(any);
      this.session.subscribe(`${any}${token}.*`, (message) => this.onReply(message));
    }
    this.counter += 1;
    return `${inbox?.own ?? this.inboxPrefix}${token}.${this.counter}`;
  }

  private inboxFor(subject: string): Inboxes | undefined {
    if (!subject.includes(".cmd.")) return undefined;
    const known = this.inboxes.get(subject);
    if (known !== undefined) return known;
    if (this.inboxes.size >= mostInboxes) this.inboxes.clear();
    const found = commandInbox(subject);
    this.inboxes.set(subject, found);
    return found;
  }

  private onReply(message: WireMessage): void {
    const number = Number(message.subject.slice(message.subject.lastIndexOf(".") + 1));
    const waiting = this.waiting.get(number);
    if (waiting?.reply !== message.subject) return;
    this.waiting.delete(number);
    this.deadlines.end(waiting.deadline);
    if (message.status === 503) waiting.reject(new SwainError("NO_LEADER", `nobody listens on ${waiting.subject}`));
    else waiting.resolve(message);
  }

  private makeWire(): Wire {
    const { clock, random, log = silent } = this.parts;
    const { session } = this;
    return {
      clock,
      random,
      logger: log,
      state: () => session.state(),
      onState: (fn) => session.onState(fn),
      request: (subject, value, options) => this.request(subject, value, options),
      jetStream: (what, use, { timeoutMs = limits.requestTimeoutMs, bytes = 0 } = {}) =>
        this.jetStream(what, (left) => use(this.library, left), timeoutMs, bytes),
      token: () => this.unique(),
      inbox: () => `${this.inboxPrefix}${this.unique()}`,
      signal: (subject) => this.publish(subject, undefined),
      listen: (subject, handler) => session.subscribe(subject, handler),
      own: (cancel) => {
        const once = (): void => {
          if (this.owned.delete(once)) cancel();
        };
        this.owned.add(once);
        return once;
      },
      finish: (work) => {
        this.work.add(work);
        void work.finally(() => this.work.delete(work));
      },
    };
  }

  private unique(): string {
    this.counter += 1;
    return `${this.parts.token}-${this.counter}`;
  }

  private async jetStream<T>(
    what: string,
    use: (timeoutMs: number) => Promise<T>,
    timeoutMs: number,
    bytes: number,
  ): Promise<ApiResult<T>> {
    this.checkRoom(bytes + libraryHeaderBytes, what);
    try {
      return { ok: await this.onceConnected(what, timeoutMs, use) };
    } catch (error) {
      if (error instanceof Refusal) return { failure: error.failure };
      if (!(error instanceof SwainError) || error.code !== "NO_LEADER") throw error;
      throw new SwainError("JETSTREAM_ERROR", `JetStream does not answer on ${what}`, { cause: error });
    }
  }

  private calling(): Calling {
    return <T>(what: string, call: Parameters<Calling>[1], timeoutMs: number | undefined) =>
      new Promise<ApiResult<T>>((resolve, reject) => {
        if (this.draining) throw closed(what);
        const end = (): void => {
          this.deadlines.end(deadline);
          this.calls.delete(fail);
        };
        const fail = (error: SwainError): void => {
          end();
          reject(error);
        };
        const deadline = this.deadlines.set(timeoutMs ?? limits.requestTimeoutMs, () =>
          fail(new SwainError("TIMEOUT", `no answer in time from ${what}`)),
        );
        this.calls.add(fail);
        const settle = (result: ApiResult<unknown> | undefined): void => {
          // Late, or a second time.
          if (!this.calls.has(fail)) return;
          if (result === undefined) {
            fail(new SwainError("NO_LEADER", `nobody listens on ${what}`));
            return;
          }
          end();
          resolve(result as ApiResult<T>);
        };
        this.session.call({ kind: "call", ...call, settle });
      });
  }

  /** Does what needs a connection, in the time that waiting for one leaves. Rejects with TIMEOUT or BUS_CLOSED. */
  private async onceConnected<T>(what: string, timeoutMs: number, use: (left: number) => Promise<T>): Promise<T> {
    const { clock } = this.parts;
    const started = clock.mono();
    if (this.session.state() !== "connected") await this.connected(what, timeoutMs);
    return use(Math.max(1, timeoutMs - (clock.mono() - started)));
  }

  private connected(subject: string, timeoutMs: number): Promise<void> {
    if (this.session.state() === "closed") return Promise.reject(closed(subject));
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer();
        stop();
      };
      const timer = this.parts.clock.after(timeoutMs, () => {
        end();
        reject(new SwainError("TIMEOUT", `no connection to the server in time for ${subject}`));
      });
      const stop = this.session.onState((state) => {
        end();
        if (state === "connected") resolve();
        else reject(closed(subject));
      });
    });
  }

  private checkSize(body: Body, headers: Headers | undefined, subject: string): void {
    this.checkRoom(sizeOf(body, this.parts.maxPayload) + headerBytes(headers), subject);
  }

  private checkRoom(size: number, subject: string): void {
    const most = this.parts.maxPayload;
    if (size <= most) return;
    throw new SwainError("PAYLOAD_TOO_LARGE", `${size} bytes for ${subject}; the server takes ${most}`);
  }
}

/** A copy, since the sender may change its own; undefined when there are none. */
function headersOf(headers: Headers | undefined): Headers | undefined {
  if (headers === undefined) return undefined;
  for (const _ in headers) return { ...headers };
  return undefined;
}

function closed(what: string): SwainError {
  return new SwainError("BUS_CLOSED", `the connection is closed; not sent: ${what}`);
}
