// Messages of the simulated bus. A body is copied once, however many subscribers there are, and made into text or bytes only
// for those who ask for them.
import type { WireMessage } from "../../../services/bus/wire.ts";
import { Copied, copied, copyAgain } from "./copy.ts";

export type Body = string | Uint8Array | Copied;
export type Headers = Readonly<Record<string, string>>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const nothing = new Uint8Array();

/** A message on its way: what a client published, or what the server sends by itself. */
export class Packet {
  readonly kind = "publish";
  readonly subject: string;
  readonly reply: string | undefined;
  readonly headers: Headers | undefined;
  /** Of the NATS header line: 0 for ordinary ones. */
  readonly status: number;
  private readonly body: Body;
  /** Deliveries that are made of it, or may be. */
  private readers = 0;
  private bytes: Uint8Array | undefined;
  private text: string | undefined;

  constructor(subject: string, body: Body, reply?: string, headers?: Headers, status = 0) {
    this.subject = subject;
    this.reply = reply;
    this.headers = headers;
    this.status = status;
    this.body = body;
  }

  get isEmpty(): boolean {
    return !(this.body instanceof Copied) && this.body.length === 0;
  }

  get data(): Uint8Array {
    if (this.body instanceof Uint8Array) return this.body;
    return (this.bytes ??= this.isEmpty ? nothing : encoder.encode(this.asText()));
  }

  isOver(bytes: number): boolean {
    return sizeOf(this.body, bytes) > bytes;
  }

  /** So many more may read it. */
  readBy(more: number): void {
    this.readers += more;
  }

  /** The value of its JSON, each time another but for the only reader; undefined when it is not JSON. */
  json(): unknown {
    if (this.body instanceof Copied) return this.readers === 1 ? this.body.value : copyAgain(this.body);
    if (this.isEmpty) return undefined;
    try {
      return JSON.parse(this.asText()) as unknown;
    } catch {
      return undefined;
    }
  }

  private asText(): string {
    const { body } = this;
    if (typeof body === "string") return body;
    return (this.text ??= body instanceof Copied ? JSON.stringify(body.value) : decoder.decode(body));
  }
}

/** A client's subscription, as both ends know it. */
export interface Subscription {
  readonly subject: string;
  readonly handler: (message: WireMessage) => void;
  /** False when the handler is not called any more. */
  live: boolean;
}

/** A message for one subscription. */
export class Delivery implements WireMessage {
  readonly kind = "message";
  readonly packet: Packet;
  readonly subscription: Subscription;
  private parsed: unknown;
  private isParsed = false;

  constructor(packet: Packet, subscription: Subscription) {
    this.packet = packet;
    this.subscription = subscription;
    packet.readBy(1);
  }

  get subject(): string {
    return this.packet.subject;
  }

  get reply(): string | undefined {
    return this.packet.reply;
  }

  get data(): Uint8Array {
    return this.packet.data;
  }

  get status(): number {
    return this.packet.status;
  }

  isOver(bytes: number): boolean {
    return this.packet.isOver(bytes);
  }

  header(name: string): string | undefined {
    const { headers } = this.packet;
    return headers !== undefined && Object.hasOwn(headers, name) ? headers[name] : undefined;
  }

  json(): unknown {
    if (this.isParsed) return this.parsed;
    this.isParsed = true;
    this.parsed = this.packet.json();
    return this.parsed;
  }
}

/** The body of a published value, which the sender may change afterwards. */
export function bodyOf(value: unknown): Body {
  if (value === undefined) return "";
  if (value instanceof Uint8Array) return value.slice();
  return copied(value) ?? JSON.stringify(value) ?? "";
}

/** What a body takes on the wire. Exact when it may matter: `most` is what the server takes. */
export function sizeOf(body: Body, most: number): number {
  if (body instanceof Uint8Array) return body.length;
  if (body instanceof Copied) return body.most <= most ? body.most : Buffer.byteLength(JSON.stringify(body.value));
  return Buffer.byteLength(body);
}

/** What the header block takes: its first line, `name: value` lines, and an empty line. */
export function headerBytes(headers: Headers | undefined): number {
  if (headers === undefined) return 0;
  let bytes = "NATS/1.0\r\n\r\n".length;
  for (const name in headers) bytes += name.length + Buffer.byteLength(headers[name] ?? "") + 4;
  return bytes;
}
