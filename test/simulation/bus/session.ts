// A client's connection as the NATS client keeps it: subscriptions outlive it, pings notice when it is dead, and it is
// made again for ever. Delays and numbers are those of `services/bus/connect.ts` and of the client library.
import { jitteredMs } from "../../../services/kernel/backoff.ts";
import type { Cancel, Clock } from "../../../services/kernel/clock.ts";
import type { Random } from "../../../services/kernel/ids.ts";
import type { Logger } from "../../../services/kernel/log.ts";
import type { BusState, SubscribeOptions } from "../../../services/bus/port.ts";
import type { WireMessage } from "../../../services/bus/wire.ts";
import type { Call, Connection, DownFrame, Ping } from "./connection.ts";
import type { Delivery, Packet, Subscription } from "./message.ts";

/** Makes a connection; what comes over it is told with it. */
export type Dial = (receive: (connection: Connection, frame: DownFrame) => void) => Connection;

export interface SessionOptions {
  readonly dial: Dial;
  readonly token: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const pingIntervalMs = 15_000;
const mostUnanswered = 2;
const dialTimeoutMs = 5000;
const firstConnect = { firstMs: 100, maxMs: 2000, factor: 2 };
const reconnect = { waitMs: 250, jitterMs: 500 };

interface Dialling {
  readonly connection: Connection;
  readonly timer: Cancel;
  readonly end: (isThrough: boolean) => void;
}

export class Session {
  private readonly options: SessionOptions;
  private readonly listeners = new Set<(state: BusState) => void>();
  private readonly subscriptions = new Set<Subscription>();
  /** Round trips under way, with what ends them when the connection breaks. */
  private readonly trips = new Map<Ping, (() => void) | undefined>();
  private current: BusState = "connected";
  private live: Connection | undefined;
  private dialling: Dialling | undefined;
  private pinging: Cancel = () => {};
  private unanswered = 0;
  private lastDial = -Infinity;
  private wasConnected = false;
  private losses = 0;
  private abandoned = false;

  constructor(options: SessionOptions) {
    this.options = options;
  }

  state(): BusState {
    return this.current;
  }

  breaks(): number {
    return this.losses;
  }

  onState(fn: (state: BusState) => void): Cancel {
    this.listeners.add(fn);
    return () => void this.listeners.delete(fn);
  }

  /** Resolves when it is connected for the first time. */
  connect(): Promise<void> {
    const { clock, random } = this.options;
    return new Promise((resolve) => {
      const tryAgain = (attempt: number): void =>
        this.dial((isThrough) => {
          if (isThrough) resolve();
          else clock.after(jitteredMs(firstConnect, attempt, random), () => tryAgain(attempt + 1));
        });
      tryAgain(0);
    });
  }

  subscribe(subject: string, handler: (message: WireMessage) => void, options: SubscribeOptions = {}): Cancel {
    const subscription: Subscription = { subject, handler, live: true };
    this.subscriptions.add(subscription);
    this.live?.toServer({ kind: "subscribe", subscription });
    return () => {
      if (!this.subscriptions.delete(subscription)) return;
      this.live?.toServer({ kind: "unsubscribe", subscription });
      const quiet = (): void => {
        subscription.live = false;
      };
      // Until the server has heard of the cancel.
      if (options.drain === true && this.live !== undefined) this.trip(quiet, quiet);
      else quiet();
    };
  }

  publish(packet: Packet): void {
    this.live?.messageToServer(packet);
  }

  call(call: Call): void {
    this.live?.messageToServer(call);
  }

  /** Calls back after a round trip, or when the connection broke during it. */
  trip(done: () => void, broken?: () => void): void {
    const ping: Ping = {
      kind: "ping",
      done: () => {
        if (this.trips.delete(ping)) done();
      },
    };
    this.trips.set(ping, broken);
    this.live?.toServer(ping);
  }

  /** Breaks the connection, to make another. */
  leave(): void {
    if (this.live !== undefined) this.broken();
  }

  /** Ends for good. */
  close(): void {
    if (this.current === "closed") return;
    this.drop();
    this.dialling?.timer();
    this.dialling?.connection.endByClient();
    this.dialling = undefined;
    this.enter("closed");
  }

  /** The process is gone: nothing of it runs any more, and the server learns of it as the kernel closes the socket. */
  abandon(): void {
    this.abandoned = true;
    this.listeners.clear();
    this.pinging();
    this.live?.endByClient();
    this.dialling?.timer();
    this.dialling?.connection.endByClient();
    this.live = undefined;
    this.dialling = undefined;
  }

  private dial(end: (isThrough: boolean) => void): void {
    const { clock, dial, token } = this.options;
    if (this.abandoned || this.current === "closed") return;
    const connection = dial((from, frame) => this.receive(from, frame));
    const timer = clock.after(dialTimeoutMs, () => this.dialFailed());
    this.lastDial = clock.mono();
    this.dialling = { connection, timer, end };
    connection.toServer({ kind: "hello", again: this.wasConnected, token });
  }

  private dialFailed(): void {
    const { dialling } = this;
    if (dialling === undefined) return;
    this.dialling = undefined;
    dialling.timer();
    dialling.connection.endByClient();
    dialling.end(false);
  }

  private welcome(): void {
    const { dialling } = this;
    if (dialling === undefined) return;
    this.dialling = undefined;
    dialling.timer();
    this.live = dialling.connection;
    this.wasConnected = true;
    for (const subscription of this.subscriptions) this.live.toServer({ kind: "subscribe", subscription });
    this.unanswered = 0;
    this.pinging = this.options.clock.every(pingIntervalMs, () => this.ping());
    dialling.end(true);
  }

  private ping(): void {
    if (this.unanswered === mostUnanswered) {
      this.options.log.warn("the server did not answer pings");
      this.broken();
      return;
    }
    this.unanswered += 1;
    this.trip(() => {
      this.unanswered = 0;
    });
  }

  private receive(from: Connection, frame: DownFrame): void {
    if (this.abandoned) return;
    if (from === this.dialling?.connection) {
      if (frame.kind === "welcome") this.welcome();
      else this.dialFailed();
      return;
    }
    if (from !== this.live) return;
    if (frame.kind === "message") this.deliver(frame);
    else if (frame.kind === "answer") frame.call.settle(frame.result);
    else if (frame.kind === "pong") frame.ping.done();
    else if (frame.kind === "ping") from.toServer({ kind: "pong" });
    else if (frame.kind === "end") this.broken();
  }

  private deliver(message: Delivery): void {
    const { subscription } = message;
    if (!subscription.live) return;
    try {
      subscription.handler(message);
    } catch (thrown) {
      this.options.log.error("a message handler threw", { subject: message.subject, error: describe(thrown) });
    }
  }

  private broken(): void {
    this.drop();
    this.enter("disconnected");
    this.dialAgain();
  }

  /** Ends the connection and what needs it. */
  private drop(): void {
    this.pinging();
    this.live?.endByClient();
    this.live = undefined;
    const trips = [...this.trips.values()];
    this.trips.clear();
    for (const broken of trips) broken?.();
  }

  /** At once when the last try was a while ago, as the client does, and then at intervals. */
  private dialAgain(): void {
    const { clock, random } = this.options;
    if (this.current !== "disconnected") return;
    const due = this.lastDial + reconnect.waitMs + Math.floor(random.next() * reconnect.jitterMs);
    const now = clock.mono();
    if (due > now) {
      clock.after(due - now, () => this.dialAgain());
      return;
    }
    this.dial((isThrough) => {
      if (isThrough) this.enter("connected");
      else this.dialAgain();
    });
  }

  private enter(state: BusState): void {
    if (this.current === state || this.current === "closed") return;
    this.current = state;
    if (state === "disconnected") {
      this.losses += 1;
      this.options.log.warn("disconnected from the server; reconnecting");
    }
    if (state === "connected") this.options.log.info("connected again");
    for (const listener of this.listeners) {
      try {
        listener(state);
      } catch (thrown) {
        this.options.log.error("a listener of the connection's state threw", { error: describe(thrown) });
      }
    }
  }
}

function describe(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}
