// The bus over one NATS connection. `connect.ts` makes it; nothing else does.
import { errors, headers as newHeaders, nuid } from "nats";
import type { Msg, MsgHdrs, NatsConnection, Status, Subscription } from "nats";
import type { Cancel, Clock } from "../kernel/clock.ts";
import { SwainError } from "../kernel/errors.ts";
import type { Random } from "../kernel/ids.ts";
import type { Logger } from "../kernel/log.ts";
import { tracedHeaders } from "../kernel/trace.ts";
import { JetStreamBucket } from "./bucket.ts";
import type { ServerChoice } from "./choice.ts";
import { CommandRequests } from "./commands.ts";
import { codeOfClientError, requestError } from "./errors.ts";
import { leastFeatures } from "./features.ts";
import type { ServerFeatures } from "./features.ts";
import type { JetStream } from "./jetstream.ts";
import type { ApiResult } from "./jetstream-api.ts";
import { limits } from "./limits.ts";
import { JetStreamLog } from "./log.ts";
import type { Bucket, Bus, BusMessage, BusState, LogStore, PublishOptions, SubscribeOptions } from "./port.ts";
import { Pulse } from "./pulse.ts";
import { commandInbox } from "./subjects.ts";
import { dropTransport, trafficOf } from "./transport.ts";
import type { JetStreamOptions, Wire, WireMessage } from "./wire.ts";

interface BusParts {
  readonly inboxPrefix: string;
  readonly hasOthers: boolean;
  readonly choice: ServerChoice;
  /** Versions of servers that count for what can be done, beside the connected one's. */
  readonly others: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** How long closing waits for consumers to be deleted and for the last messages to leave. */
const closeMs = 1000;
/** What a server takes when it does not say. */
const defaultMaxPayload = 1024 * 1024;
/** More than the headers take that the JetStream library adds. */
const libraryHeaderBytes = 512;
/** A refused subject is published to again and again; one line in this time is enough. */
const deniedLogMs = 10_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class NatsBus implements Bus {
  readonly inboxPrefix: string;
  readonly hasOthers: boolean;
  private readonly connection: NatsConnection;
  private readonly parts: BusParts;
  private readonly wire: Wire;
  private readonly commands: CommandRequests;
  private readonly listeners = new Set<(state: BusState) => void>();
  private readonly owned = new Set<Cancel>();
  private readonly work = new Set<Promise<void>>();
  private current: BusState = "connected";
  private known: ServerFeatures;
  private version: string;
  private closing: Promise<void> | undefined;
  private library: Promise<JetStream> | undefined;
  private broken = 0;
  private deniedLoggedAt = -Infinity;
  private readonly pulse = new Pulse();

  constructor(connection: NatsConnection, parts: BusParts) {
    this.connection = connection;
    this.parts = parts;
    this.inboxPrefix = parts.inboxPrefix;
    this.hasOthers = parts.hasOthers;
    parts.choice.connected(connection.getServer());
    this.version = connection.info?.version ?? "";
    this.known = leastFeatures([this.version, ...parts.others]);
    this.wire = this.makeWire();
    this.commands = new CommandRequests(connection, parts.clock);
    void this.followStatus();
    void connection.closed().then(() => this.enter("closed"));
  }

  get features(): ServerFeatures {
    const version = this.connection.info?.version;
    if (version !== undefined && version !== this.version) {
      this.version = version;
      this.known = leastFeatures([version, ...this.parts.others]);
    }
    return this.known;
  }

  state(): BusState {
    return this.current;
  }

  breaks(): number {
    return this.broken;
  }

  onState(fn: (state: BusState) => void): Cancel {
    this.listeners.add(fn);
    return () => void this.listeners.delete(fn);
  }

  publish(subject: string, value: unknown, options: PublishOptions = {}): void {
    const data = encode(value);
    const traced = tracedHeaders(options.headers, this.parts.clock.mono());
    this.checkSize(data, traced, subject);
    // The client would keep everything until it reconnects and throw it away then.
    if (this.current !== "connected" || this.connection.isClosed() || this.connection.isDraining()) return;
    const headers = traced === undefined ? undefined : headersOf(traced);
    this.connection.publish(subject, data, {
      ...(headers === undefined ? {} : { headers }),
      ...(options.reply === undefined ? {} : { reply: options.reply }),
    });
  }

  async request(
    subject: string,
    value: unknown,
    options: { timeoutMs: number; headers?: Readonly<Record<string, string>> },
  ): Promise<BusMessage> {
    const data = encode(value);
    const traced = tracedHeaders(options.headers, this.parts.clock.mono());
    this.checkSize(data, traced, subject);
    const started = this.parts.clock.mono();
    // What is sent while disconnected is thrown away by the client, so it waits here instead.
    if (this.current !== "connected") await this.connected(subject, options.timeoutMs);
    const timeout = Math.max(1, options.timeoutMs - (this.parts.clock.mono() - started));
    const headers = traced === undefined ? undefined : headersOf(traced);
    try {
      const inbox = commandInbox(subject);
      const more = headers === undefined ? {} : { headers };
      const answer = await (inbox === undefined
        ? this.connection.request(subject, data, { timeout, ...more })
        : this.commands.request(subject, data, inbox, { timeout, ...more }));
      return new NatsMessage(answer);
    } catch (error) {
      throw requestError(error, subject, this.connection.isClosed());
    }
  }

  subscribe(subject: string, handler: (message: BusMessage) => void, options: SubscribeOptions = {}): Cancel {
    return this.wire.own(this.listen(subject, handler, options));
  }

  async flush(timeoutMs: number): Promise<void> {
    const started = this.parts.clock.mono();
    if (this.current !== "connected") await this.connected("flush", timeoutMs);
    const left = Math.max(1, timeoutMs - (this.parts.clock.mono() - started));
    const trip = this.connection.flush().catch((error: unknown) => {
      // A flush in flight is given up by the client when the link breaks.
      throw requestError(new errors.TimeoutError({ cause: error }), "flush", this.connection.isClosed());
    });
    await this.within(left, trip, "flush");
  }

  log(stream: string): LogStore {
    return new JetStreamLog(this.wire, stream);
  }

  bucket(name: string): Bucket {
    return new JetStreamBucket(this.wire, name);
  }

  elsewhere(): void {
    if (!this.hasOthers || this.current !== "connected") return;
    this.parts.log.warn("no leader is heard by way of this server; going to another");
    this.parts.choice.blame(true);
    dropTransport(this.connection, "no leader is heard");
  }

  close(): Promise<void> {
    this.closing ??= this.shutDown();
    return this.closing;
  }

  private async shutDown(): Promise<void> {
    for (const cancel of this.owned) cancel();
    if (this.current === "connected") {
      await this.within(closeMs, Promise.all(this.work), "close").catch(() => {});
      await this.within(closeMs, this.connection.drain(), "close").catch(() => {});
    }
    await this.connection.close();
    this.enter("closed");
  }

  private makeWire(): Wire {
    return {
      clock: this.parts.clock,
      random: this.parts.random,
      logger: this.parts.log,
      state: () => this.current,
      onState: (fn) => this.onState(fn),
      request: (subject, value, options) => this.request(subject, value, options),
      jetStream: (what, use, options = {}) => this.jetStream(what, use, options),
      token: () => nuid.next(),
      inbox: () => `${this.inboxPrefix}${nuid.next()}`,
      signal: (subject) => this.publish(subject, undefined),
      listen: (subject, handler) => this.listen(subject, handler),
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

  private async jetStream<T>(
    what: string,
    use: (library: JetStream, timeoutMs: number) => Promise<T>,
    { timeoutMs = limits.requestTimeoutMs, bytes = 0 }: JetStreamOptions,
  ): Promise<ApiResult<T>> {
    this.checkRoom(bytes + libraryHeaderBytes, what);
    const started = this.parts.clock.mono();
    const { libraryError, openJetStream, refusalOf } = await import("./jetstream.ts");
    if (this.current !== "connected") await this.connected(what, timeoutMs);
    this.library ??= openJetStream(this.connection);
    try {
      const left = Math.max(1, timeoutMs - (this.parts.clock.mono() - started));
      return { ok: await use(await this.library, left) };
    } catch (error) {
      const failure = refusalOf(error);
      if (failure !== undefined) return { failure };
      throw libraryError(error, what, this.connection.isClosed());
    }
  }

  /** A subscription that a reconnect renews also when the server had refused it. */
  private listen(subject: string, handler: (message: WireMessage) => void, options: SubscribeOptions = {}): Cancel {
    const { log } = this.parts;
    let subscription: Subscription | undefined;
    const open = (): void => {
      if (this.connection.isClosed() || this.connection.isDraining()) return;
      subscription = this.connection.subscribe(subject, {
        callback: (error, message) => {
          if (error !== null) {
            subscription = undefined;
            if (options.onRefused !== undefined) options.onRefused();
            else log.error("a subscription was refused", { subject, code: requestError(error, subject, false).code });
            return;
          }
          // An error thrown here would end the client's reading of the socket.
          try {
            handler(new NatsMessage(message));
          } catch (thrown) {
            log.error("a message handler threw", { subject: message.subject, error: describe(thrown) });
          }
        },
      });
    };
    open();
    const stop = this.onState((state) => {
      if (state === "connected" && subscription === undefined) open();
    });
    return () => {
      stop();
      // Draining rejects only when there is nothing left to drain.
      if (options.drain === true) subscription?.drain().catch(() => {});
      else subscription?.unsubscribe();
    };
  }

  /** Resolves when the connection is there; rejects with TIMEOUT or BUS_CLOSED. */
  private connected(subject: string, timeoutMs: number): Promise<void> {
    if (this.current === "closed") return Promise.reject(requestError(undefined, subject, true));
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer();
        stop();
      };
      const timer = this.parts.clock.after(timeoutMs, () => {
        end();
        reject(new SwainError("TIMEOUT", `no connection to the server in time for ${subject}`));
      });
      const stop = this.onState((state) => {
        end();
        if (state === "connected") resolve();
        else reject(requestError(undefined, subject, true));
      });
    });
  }

  private within<T>(ms: number, work: Promise<T>, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = this.parts.clock.after(ms, () => reject(new SwainError("TIMEOUT", `no answer in time: ${what}`)));
      work.finally(timer).then(resolve, reject);
    });
  }

  private checkSize(data: Uint8Array, headers: PublishOptions["headers"], subject: string): void {
    this.checkRoom(data.length + headerBytes(headers), subject);
  }

  private checkRoom(size: number, subject: string): void {
    const most = this.connection.info?.max_payload ?? defaultMaxPayload;
    if (size <= most) return;
    throw new SwainError("PAYLOAD_TOO_LARGE", `${size} bytes for ${subject}; the server takes ${most}`);
  }

  private async followStatus(): Promise<void> {
    for await (const status of this.connection.status()) this.onStatus(status);
  }

  private onStatus(status: Status): void {
    const { log } = this.parts;
    if (status.type === "disconnect") this.enter("disconnected");
    else if (status.type === "ping") this.onPing(status.pendingPings);
    else if (status.type === "reconnect") {
      this.parts.choice.connected(this.connection.getServer());
      this.enter("connected");
    } else if (status.type === "staleConnection") {
      log.warn("the server did not answer pings");
      dropTransport(this.connection, "pings without an answer");
    } else if (status.type === "ldm") log.warn("the server is shutting down", { server: status.server });
    else if (status.type === "error") this.onServerError(status.error);
  }

  /** Called with each ping, which may find earlier ones unanswered. Without a server the client goes on to tell of pings. */
  private onPing(pending: number): void {
    if (!this.hasOthers || this.current !== "connected") return;
    const pulse = this.pulse.ping(pending, trafficOf(this.connection));
    this.parts.choice.blame(pulse !== "beats");
    if (pulse !== "gone") return;
    this.parts.log.warn("the server did not answer pings");
    dropTransport(this.connection, "nothing came and nothing went");
  }

  private onServerError(error: Error): void {
    const { clock, log } = this.parts;
    const denied = error instanceof errors.PermissionViolationError;
    if (denied) this.commands.denied(error);
    if (clock.mono() - this.deniedLoggedAt < deniedLogMs) return;
    this.deniedLoggedAt = clock.mono();
    if (denied) {
      log.warn("the server refused a subject", { operation: error.operation, subject: error.subject });
    } else {
      // Whatever else it reports, such as silence of this client, it ends the connection with.
      const code = codeOfClientError(error, "NATS_UNREACHABLE");
      log.warn("the server reported an error", { code, error: error.message });
    }
  }

  private enter(state: BusState): void {
    if (this.current === state || this.current === "closed") return;
    this.current = state;
    const { log } = this.parts;
    if (state === "disconnected") {
      this.broken += 1;
      log.warn("disconnected from the server; reconnecting");
    }
    if (state === "connected") log.info("connected again", { version: this.features.version });
    for (const listener of this.listeners) {
      try {
        listener(state);
      } catch (thrown) {
        log.error("a listener of the connection's state threw", { error: describe(thrown) });
      }
    }
  }
}

class NatsMessage implements WireMessage {
  private readonly message: Msg;

  constructor(message: Msg) {
    this.message = message;
  }

  get subject(): string {
    return this.message.subject;
  }

  get reply(): string | undefined {
    return this.message.reply === "" ? undefined : this.message.reply;
  }

  get data(): Uint8Array {
    return this.message.data;
  }

  get status(): number {
    return this.message.headers?.code ?? 0;
  }

  isOver(bytes: number): boolean {
    return this.message.data.length > bytes;
  }

  header(name: string): string | undefined {
    const headers = this.message.headers;
    return headers?.has(name) === true ? headers.get(name) : undefined;
  }

  json(): unknown {
    try {
      return JSON.parse(decoder.decode(this.message.data)) as unknown;
    } catch {
      return undefined;
    }
  }
}

function encode(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  return value === undefined ? new Uint8Array() : encoder.encode(JSON.stringify(value));
}

/** What the header block takes: its first line, `name: value` lines, and an empty line. */
function headerBytes(headers: PublishOptions["headers"]): number {
  if (headers === undefined) return 0;
  let bytes = "NATS/1.0\r\n\r\n".length;
  for (const [name, value] of Object.entries(headers)) bytes += name.length + encoder.encode(value).length + 4;
  return bytes;
}

function headersOf(values: Readonly<Record<string, string>>): MsgHdrs {
  const made = newHeaders();
  for (const [name, value] of Object.entries(values)) made.set(name, value);
  return made;
}

function describe(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message).replace(/\s*\n\s*/g, " | ") : String(thrown);
}
