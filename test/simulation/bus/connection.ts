// One TCP connection between a client and the server: two pipes over a link, and what each end knows of it. An end may
// believe in it long after the other gave it up.
import type { ApiResult } from "../../../services/bus/jetstream-api.ts";
import type { Clock } from "../../../services/kernel/clock.ts";
import type { Random } from "../../../services/kernel/ids.ts";
import type { Link, Linked } from "./link.ts";
import type { Delivery, Packet, Subscription } from "./message.ts";
import { Pipe } from "./pipe.ts";
import type { Appending, Stream } from "./stream.ts";

/** A round trip: everything sent before it has been handled when it is done. */
export interface Ping {
  readonly kind: "ping";
  readonly done: () => void;
}

export type CallAnswer = (result: ApiResult<unknown> | undefined) => void;

/** Who answers a call. */
export interface Answering {
  readonly streams: ReadonlyMap<string, Stream>;
  info(stream: Stream): unknown;
  append(wanted: Appending & { readonly expectedStream?: string }, answer: CallAnswer): void;
}

/** A request of the client library to JetStream. */
export interface Call {
  readonly kind: "call";
  readonly stream: string;
  /** For the stream's state, for what it holds, or to change that. */
  readonly asks: "state" | "content" | "change";
  /** What listeners of its subject hear, for one that writes. */
  readonly packet: Packet | undefined;
  readonly run: (js: Answering, answer: CallAnswer) => void;
  readonly settle: CallAnswer;
}

export type UpFrame =
  | Packet
  | Call
  | Ping
  | { readonly kind: "hello"; readonly again: boolean; readonly token: string }
  | { readonly kind: "subscribe" | "unsubscribe"; readonly subscription: Subscription }
  | { readonly kind: "pong" | "bye" };

export type DownFrame =
  | Delivery
  | { readonly kind: "answer"; readonly call: Call; readonly result: ApiResult<unknown> | undefined }
  | { readonly kind: "pong"; readonly ping: Ping }
  | { readonly kind: "welcome" | "refused" | "ping" | "end" };

/** A subscription as the server holds it. */
export interface Sink {
  readonly id: number;
  readonly subject: string;
  readonly connection: Connection;
  readonly subscription: Subscription;
}

export interface ConnectionOptions {
  /** The client's. */
  readonly name: string;
  /** The server it is made to. */
  readonly at: number;
  readonly link: Link;
  readonly random: Random;
  readonly serverClock: Clock;
  readonly clientClock: Clock;
  readonly onUp: (connection: Connection, frame: UpFrame) => void;
  readonly onDown: (connection: Connection, frame: DownFrame) => void;
}

export class Connection implements Linked {
  /** Sets the client's answers apart. */
  token = "";
  readonly name: string;
  readonly at: number;
  readonly sinks = new Map<Subscription, Sink>();
  /** The server knows of it, and has not ended it. */
  accepted = false;
  /** Something came from the client since the server last looked. */
  heard = false;
  /** Pings of the server that were not answered. */
  pings = 0;
  private readonly link: Link;
  private readonly up: Pipe<UpFrame>;
  private readonly down: Pipe<DownFrame>;
  /** The server's end answers, if only to say that it knows of no connection. */
  private serverEnd = true;
  private clientEnd = true;

  constructor(options: ConnectionOptions) {
    const { link, random, serverClock, clientClock, onUp, onDown } = options;
    this.name = options.name;
    this.at = options.at;
    this.link = link;
    this.up = new Pipe({ clock: serverClock, random, link, open: link.up, receive: (frame) => onUp(this, frame) });
    this.down = new Pipe({
      clock: clientClock,
      random,
      link,
      open: link.down,
      toClient: true,
      receive: (frame) => onDown(this, frame),
    });
    link.attach(this);
  }

  /** Messages to the client that have not arrived. */
  get waiting(): number {
    return this.down.waiting;
  }

  /** Sends to the server what always arrives as long as the connection lives. */
  toServer(frame: UpFrame): void {
    this.up.send(frame);
  }

  /** The same with a message that may be lost. */
  messageToServer(frame: UpFrame): void {
    const { chances } = this.link;
    if (chances === undefined) {
      this.up.send(frame);
      return;
    }
    // It may arrive twice.
    if (frame.kind === "publish") frame.readBy(1);
    this.up.sendBy(chances, frame);
  }

  toClient(frame: DownFrame): void {
    this.down.send(frame);
  }

  messageToClient(frame: DownFrame): void {
    const { chances } = this.link;
    if (chances === undefined) this.down.send(frame);
    else this.down.sendBy(chances, frame);
  }

  /** A consumer's message; its loss is another chance, for what follows from it is another thing. */
  deliveryToClient(frame: Delivery, random: Random): void {
    const { chances } = this.link;
    if (chances !== undefined && chances.gap > 0 && random.next() < chances.gap) return;
    this.down.send(frame);
  }

  /** The server gives it up and says so. `abruptly`: what is on its way to the client is lost. */
  endByServer(abruptly: boolean): void {
    if (!this.serverEnd) return;
    this.serverEnd = false;
    if (!this.clientEnd) this.close();
    else if (abruptly && this.link.down) this.down.replaceBy({ kind: "end" });
    else {
      // Over a cut link the client hears of it when it is whole again, and still of nothing before it.
      if (abruptly) this.down.clear();
      this.down.send({ kind: "end" });
    }
  }

  /** The server's machine is gone, and nobody is told. */
  vanish(): void {
    this.down.clear();
  }

  /** The client gives it up. What it sent and did not get through is lost; the server hears of it if it can. */
  endByClient(): void {
    if (!this.clientEnd) return;
    this.clientEnd = false;
    this.down.close();
    if (this.link.up && this.serverEnd) {
      this.up.send({ kind: "bye" });
      return;
    }
    this.up.close();
    this.link.detach(this);
  }

  /** The server heard the client's goodbye, or will hear nothing any more. */
  close(): void {
    this.serverEnd = false;
    this.up.close();
    this.down.close();
    this.link.detach(this);
  }

  linkChanged(): void {
    this.up.pass(this.link.up);
    this.down.pass(this.link.down);
  }

  reset(): void {
    this.up.replaceBy({ kind: "bye" });
    if (this.clientEnd) this.down.replaceBy({ kind: "end" });
    this.link.detach(this);
  }
}
