// One consumer of a stream, in order and without a gap, for as long as it lives. It never repairs itself: whatever goes
// wrong ends it with `onLost`, within seconds, and its owner opens another (`heal.ts`).
//
// The client library's own watch and ordered consumers are not used for this: after their consumer was deleted, or the server
// that held it died, they were measured to stay silent for about 90 s, and for ever when the stream was made anew.
//
// It is an ephemeral push consumer in the server's memory. The server removes it by itself soon after nobody listens on
// its inbox any more, so that a process that was killed leaves nothing behind.
import type { Cancel } from "../kernel/clock.ts";
import { asSwainError, SwainError } from "../kernel/errors.ts";
import { apiCall, apiCodes, apiResult, valueOf } from "./jetstream-api.ts";
import type { Wire, WireMessage } from "./wire.ts";

export interface ConsumerOptions {
  readonly stream: string;
  readonly filter?: string;
  /** From that sequence on, or the last message of each subject and then every new one. */
  readonly start: { readonly sequence: number } | "last-per-subject";
  /** Leaves the bodies out. */
  readonly headersOnly?: boolean;
}

export interface Delivered {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly sequence: number;
  readonly time: number;
  header(name: string): string | undefined;
}

export interface ConsumerHandlers {
  onMessage(message: Delivered): void;
  /**
   * Everything has been told that the stream's leader had when the consumer was opened; called once. A consumer runs on any
   * copy of its stream, and one that is behind, after its server was away, calls itself at the end long before.
   */
  onCaughtUp?(): void;
  /** The consumer is gone; called once and not after a cancel. */
  onLost(error: SwainError): void;
}

const nanos = (ms: number): number => ms * 1_000_000;

/** The server speaks at least this often. */
const heartbeatMs = 1000;
/** A consumer counts as lost at the first tick of the same length after this many without a word. */
const silentTicks = 3;
/** How long the server keeps a consumer whose listener is gone. */
const inactiveMs = 10_000;
const createMs = 5000;
const deleteMs = 2000;

/** What the server answers to creating a consumer, as far as it is used. */
interface ConsumerInfo {
  readonly num_pending: number;
  readonly delivered: { readonly consumer_seq: number };
}

/** What the stream's leader answers to a question for one message. */
interface StoredMessage {
  readonly message: { readonly seq: number };
}

/** Opens a consumer; the returned function ends it and deletes it on the server. */
export function openConsumer(wire: Wire, options: ConsumerOptions, handlers: ConsumerHandlers): Cancel {
  const consumer = new Consumer(wire, options, handlers);
  return () => consumer.end();
}

class Consumer {
  private readonly wire: Wire;
  private readonly options: ConsumerOptions;
  private readonly handlers: ConsumerHandlers;
  private readonly name: string;
  private readonly stops: Cancel[] = [];
  private readonly created: Promise<boolean>;
  private open = true;
  private received = 0;
  /** All up to this sequence was told, or not asked for. */
  private reached: number;
  /** The sequence of the last message the stream's leader had; not known before it answered. */
  private target = Infinity;
  private isCaughtUp: boolean;
  /** What the last message said was still to come. */
  private pending = Infinity;
  /** How many messages were waiting when the consumer was made; not known before the server answered. */
  private waiting = Infinity;
  private silent = 0;

  constructor(wire: Wire, options: ConsumerOptions, handlers: ConsumerHandlers) {
    this.wire = wire;
    this.options = options;
    this.handlers = handlers;
    this.name = wire.token();
    this.reached = options.start === "last-per-subject" ? 0 : options.start.sequence - 1;
    const inbox = wire.inbox();
    this.stops.push(
      wire.listen(inbox, (message) => this.onWire(message)),
      wire.clock.every(heartbeatMs, () => this.tick()),
    );
    this.created = this.create(inbox);
    this.isCaughtUp = handlers.onCaughtUp === undefined;
    if (!this.isCaughtUp) void this.aim();
  }

  end(): void {
    if (!this.open) return;
    this.open = false;
    for (const stop of this.stops) stop();
    this.wire.finish(this.remove());
  }

  /** Resolves to whether there may be a consumer on the server. */
  private async create(inbox: string): Promise<boolean> {
    const { stream, filter, start, headersOnly } = this.options;
    const config = {
      name: this.name,
      deliver_subject: inbox,
      ...(filter === undefined ? {} : { filter_subject: filter }),
      ...(start === "last-per-subject"
        ? { deliver_policy: "last_per_subject" }
        : { deliver_policy: "by_start_sequence", opt_start_seq: Math.max(1, start.sequence) }),
      ...(headersOnly === true ? { headers_only: true } : {}),
      ack_policy: "none",
      replay_policy: "instant",
      max_deliver: 1,
      flow_control: true,
      idle_heartbeat: nanos(heartbeatMs),
      inactive_threshold: nanos(inactiveMs),
      mem_storage: true,
      num_replicas: 1,
    };
    // The filter is part of the subject so that a server's permissions can see it.
    const verb = `CONSUMER.CREATE.${stream}.${this.name}${filter === undefined ? "" : `.${filter}`}`;
    try {
      const info = await apiCall<ConsumerInfo>(this.wire, verb, { stream_name: stream, config }, createMs);
      this.waiting = info.num_pending + info.delivered.consumer_seq;
      if (this.waiting === 0) this.pending = 0;
      this.checkCaughtUp();
      return true;
    } catch (error) {
      const known = asSwainError(error);
      this.lost(known);
      return known.code === "TIMEOUT";
    }
  }

  /** Asks the stream's leader where the end is. */
  private async aim(): Promise<void> {
    // Asked for the last of ">", servers say that there is none when the very last message was removed.
    const { stream, filter = "*.>" } = this.options;
    try {
      const verb = `STREAM.MSG.GET.${stream}`;
      const result = await apiResult<StoredMessage>(this.wire, verb, { last_by_subj: filter }, createMs);
      const isEmpty = "failure" in result && result.failure.code === apiCodes.noMessage;
      this.target = isEmpty ? 0 : valueOf(verb, result).message.seq;
      this.checkCaughtUp();
    } catch (error) {
      this.lost(asSwainError(error));
    }
  }

  private async remove(): Promise<void> {
    if (!(await this.created)) return;
    const verb = `CONSUMER.DELETE.${this.options.stream}.${this.name}`;
    // The server also removes it by itself, so a failure here costs nothing.
    await apiCall(this.wire, verb, undefined, deleteMs).catch(() => {});
  }

  private lost(error: SwainError): void {
    if (!this.open) return;
    this.end();
    this.handlers.onLost(error);
  }

  /** Counts ticks and not time, so that a stall of this process is not taken for the server's silence. */
  private tick(): void {
    if (this.wire.state() !== "connected" || this.waiting === Infinity) return;
    this.silent += 1;
    if (this.silent > silentTicks) this.lost(new SwainError("JETSTREAM_ERROR", "the consumer fell silent"));
  }

  private onWire(message: WireMessage): void {
    if (!this.open) return;
    this.silent = 0;
    if (message.status === 0) this.onStored(message);
    else if (message.status === 100) this.onProtocol(message);
    else this.lost(new SwainError("JETSTREAM_ERROR", `the consumer ended with status ${message.status}`));
  }

  private onStored(message: WireMessage): void {
    const position = positionOf(message.reply);
    if (position === undefined || position.delivery !== this.received + 1) {
      this.lost(new SwainError("JETSTREAM_ERROR", "a message of the consumer was lost on the way"));
      return;
    }
    this.received = position.delivery;
    this.reached = position.sequence;
    this.handlers.onMessage({
      subject: message.subject,
      data: message.data,
      sequence: position.sequence,
      time: position.time,
      header: (name) => message.header(name),
    });
    this.pending = position.pending;
    this.checkCaughtUp();
  }

  /** The count guards against servers whose number of pending messages drifts; a heartbeat is the other way to know. */
  private checkCaughtUp(): void {
    if (this.pending === 0 && this.received >= this.waiting && this.reached >= this.target) this.caughtUp();
  }

  private caughtUp(): void {
    if (!this.open || this.isCaughtUp) return;
    this.isCaughtUp = true;
    this.handlers.onCaughtUp?.();
  }

  /** Heartbeats and flow control: both say where the server is, and flow control wants an answer. */
  private onProtocol(message: WireMessage): void {
    const stalled = message.header("Nats-Consumer-Stalled");
    const answerTo = message.reply ?? stalled;
    if (answerTo !== undefined) this.wire.signal(answerTo);
    const last = message.header("Nats-Last-Consumer");
    if (last === undefined) return;
    if (Number(last) !== this.received) {
      this.lost(new SwainError("JETSTREAM_ERROR", "the consumer's last messages were lost on the way"));
    } else if (stalled === undefined && !this.isCaughtUp && this.waiting !== Infinity && this.target !== Infinity) {
      // Another consumer may get a better copy.
      if (this.reached >= this.target) this.caughtUp();
      else this.lost(new SwainError("JETSTREAM_ERROR", "the copy of the stream that was asked is behind"));
    }
  }
}

interface Position {
  readonly sequence: number;
  readonly delivery: number;
  readonly time: number;
  readonly pending: number;
}

/**
 * Where a delivered message stands, from its reply subject: `$JS.ACK.<stream>.<consumer>.<tries>.<sequence>.<delivery>.<ns>.<pending>`;
 * the newer form has domain and account before the stream.
 */
function positionOf(reply: string | undefined): Position | undefined {
  if (reply?.startsWith("$JS.ACK.") !== true) return undefined;
  // Where each token begins. There may be more behind those that are read.
  const begins = [0];
  for (let dot = reply.indexOf("."); dot >= 0; dot = reply.indexOf(".", dot + 1)) begins.push(dot + 1);
  const at = begins.length > 9 ? 7 : 5;
  if (begins.length < at + 4) return undefined;
  begins.push(reply.length + 1);
  const token = (place: number): string => reply.slice(begins[at + place], (begins[at + place + 1] ?? 0) - 1);
  return {
    sequence: Number(token(0)),
    delivery: Number(token(1)),
    // Whole milliseconds: nanoseconds since 1970 are more than a number can hold.
    time: Number(token(2).slice(0, -6)),
    pending: Number(token(3)),
  };
}
