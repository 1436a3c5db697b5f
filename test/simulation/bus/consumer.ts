// A push consumer on the server: sends what its stream holds, and then what comes, to a subject, each with its place in
// the reply subject. It lives in the server's memory only. Unlike a real one it sends everything at once: its listener
// keeps up or loses its connection.
import { Packet } from "./message.ts";
import type { Headers } from "./message.ts";
import { matcher } from "./routes.ts";
import type { Stored, Stream } from "./stream.ts";

export interface ConsumerConfig {
  readonly name: string;
  readonly deliver_subject: string;
  readonly filter_subject?: string;
  readonly deliver_policy: "last_per_subject" | "by_start_sequence";
  readonly opt_start_seq?: number;
  readonly headers_only?: boolean;
  /** Nanoseconds. */
  readonly inactive_threshold: number;
}

/** A copy of a stream that is behind: it holds what the stream held when it stopped following. */
export interface Copy {
  readonly last: number;
  /** The newest record of each subject, oldest first; of streams that keep few of each. */
  readonly newest: readonly Stored[];
}

export function copyOf(stream: Stream): Copy {
  const isKept = Number(stream.config["max_msgs_per_subject"] ?? -1) > 0;
  return { last: stream.last, newest: isKept ? stream.newestOfEach(() => true) : [] };
}

/** Sends to whoever listens; false when nobody does. */
type Sending = (packet: Packet) => boolean;

export class PushConsumer {
  readonly stream: Stream;
  readonly config: ConsumerConfig;
  /** The server it runs on. */
  readonly at: number;
  /** Messages sent so far. */
  delivered = 0;
  private readonly send: Sending;
  private readonly matches: (subject: string) => boolean;
  /** Records it was made with that are still to be sent. */
  private initial: readonly Stored[] = [];
  private initialAt = 0;
  /** The sequence from which on it sends what is stored. */
  private next: number;
  private spoke = false;
  private unheardSince: number | undefined;
  private beat: Packet | undefined;
  /** Where it reads while that is behind. */
  private copy: Copy | undefined;

  constructor(at: number, stream: Stream, config: ConsumerConfig, send: Sending, copy?: Copy) {
    this.at = at;
    this.stream = stream;
    this.config = config;
    this.send = send;
    this.copy = copy;
    this.matches = matcher(config.filter_subject ?? ">");
    if (config.deliver_policy === "last_per_subject") {
      const held = copy?.newest.filter(({ subject }) => this.matches(subject));
      this.initial = held ?? stream.newestOfEach(this.matches);
      this.next = this.end + 1;
    } else {
      this.next = Math.max(config.opt_start_seq ?? 1, stream.first);
    }
  }

  /** Its copy of the stream stops following, or follows again. */
  follow(copy: Copy | undefined): void {
    this.copy = copy;
    this.pump();
  }

  /** The last sequence it knows of. */
  private get end(): number {
    return Math.min(this.stream.last, this.copy?.last ?? Infinity);
  }

  /** Records still to be sent. */
  get pending(): number {
    let count = this.initial.length - this.initialAt;
    for (let sequence = this.next; sequence <= this.end; sequence += 1) {
      const record = this.stream.get(sequence);
      if (record !== undefined && this.matches(record.subject)) count += 1;
    }
    return count;
  }

  /** Sends what can be sent. */
  pump(): void {
    const { initial, stream, end } = this;
    const isBegun = this.initialAt === initial.length;
    if (isBegun && this.next > end) return;
    // Mostly there is one, just stored, and nothing behind it.
    let left = isBegun && this.next === end ? 1 : this.pending;
    for (; this.initialAt < initial.length; this.initialAt += 1) {
      left -= 1;
      if (!this.deliver(initial[this.initialAt] as Stored, left)) return;
    }
    this.initial = [];
    this.initialAt = 0;
    for (; this.next <= end; this.next += 1) {
      const record = stream.get(this.next);
      if (record === undefined || !this.matches(record.subject)) continue;
      left -= 1;
      if (!this.deliver(record, left)) return;
    }
  }

  /** Once a second: says that it lives, unless it just sent something. Returns false when nobody listens any more. */
  tick(now: number): boolean {
    if (this.unheardSince !== undefined) this.pump();
    if (!this.spoke && this.send(this.heartbeat())) this.unheardSince = undefined;
    else if (!this.spoke) this.unheardSince ??= now;
    this.spoke = false;
    return this.unheardSince === undefined || now - this.unheardSince < this.config.inactive_threshold / 1_000_000;
  }

  private heartbeat(): Packet {
    const last = String(this.delivered);
    if (this.beat?.headers?.["Nats-Last-Consumer"] === last) return this.beat;
    const headers: Headers = { "Nats-Last-Consumer": last, "Nats-Last-Stream": String(this.next - 1) };
    this.beat = new Packet(this.config.deliver_subject, "", undefined, headers, 100);
    return this.beat;
  }

  private deliver(record: Stored, pending: number): boolean {
    // Servers stamp nanoseconds; half a millisecond keeps the whole ones through the division of the reader.
    const place = `${record.sequence}.${this.delivered + 1}.${record.time}500000.${pending}`;
    const reply = `$JS.ACK.${this.stream.name}.${this.config.name}.1.${place}`;
    const body = this.config.headers_only === true ? "" : record.data;
    if (!this.send(new Delivered(this.config.deliver_subject, record.subject, body, reply, record.headers))) {
      return false;
    }
    this.delivered += 1;
    this.spoke = true;
    this.unheardSince = undefined;
    return true;
  }
}

/** A record on its way: routed by the listener's inbox, but it carries the subject it was stored under. */
export class Delivered extends Packet {
  readonly inbox: string;

  constructor(inbox: string, subject: string, body: string | Uint8Array, reply: string, headers: Headers | undefined) {
    super(subject, body, reply, headers);
    this.inbox = inbox;
  }
}
