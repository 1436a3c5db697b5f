// What the log store and the buckets need of a connection beyond the port: protocol status, raw sends, and a list of what
// must be undone before the connection closes. Only files of this folder use it.
import type { Cancel, Clock } from "../kernel/clock.ts";
import type { Random } from "../kernel/ids.ts";
import type { Logger } from "../kernel/log.ts";
import type { JetStream } from "./jetstream.ts";
import type { ApiResult } from "./jetstream-api.ts";
import type { Bus, BusMessage } from "./port.ts";

/** A message with the status of its NATS header line: 0 for ordinary ones, 100 for heartbeats and flow control. */
export interface WireMessage extends BusMessage {
  readonly status: number;
}

export interface JetStreamOptions {
  /** Time to connect again and to be answered; as long as a request by default. */
  readonly timeoutMs?: number;
  /** Size of the body that is sent. */
  readonly bytes?: number;
}

export interface Wire extends Pick<Bus, "state" | "onState" | "request"> {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /**
   * Uses the client library once connected; `use` is told how much of the time is left. What JetStream refuses is a
   * value. Rejects like `Bus.request`, except that nobody answering is JETSTREAM_ERROR.
   */
  jetStream<T>(
    what: string,
    use: (library: JetStream, timeoutMs: number) => Promise<T>,
    options?: JetStreamOptions,
  ): Promise<ApiResult<T>>;
  /** A new token nobody else uses, for inboxes and consumer names. */
  token(): string;
  /** A new subject below this connection's inbox prefix. */
  inbox(): string;
  /** Publishes without a body. Lost when disconnected. */
  signal(subject: string): void;
  /** Like `subscribe` of the port, with protocol messages. */
  listen(subject: string, handler: (message: WireMessage) => void): Cancel;
  /** Calls `cancel` when the connection closes, unless the returned function did before. */
  own(cancel: Cancel): Cancel;
  /** Work that closing waits for, a moment at most. It must not reject. */
  finish(work: Promise<void>): void;
}
