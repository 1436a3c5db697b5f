// Requests to nodes. A node may publish under its own subjects alone, so the answer cannot come to the asker's inbox: it
// comes to the node's, where one wildcard subscription of this connection collects the answers of all nodes.
import { errors, nuid } from "nats";
import type { Msg, MsgHdrs, NatsConnection } from "nats";
import type { Cancel, Clock } from "../kernel/clock.ts";

interface Waiting {
  readonly subject: string;
  readonly timer: Cancel;
  readonly resolve: (answer: Msg) => void;
  readonly reject: (error: Error) => void;
}

/** Used by `NatsBus.request` for the subjects that `commandInbox` knows. Rejects with errors of the client. */
export class CommandRequests {
  private readonly connection: NatsConnection;
  private readonly clock: Clock;
  /** Sets this connection's answers apart from those of others. */
  private readonly token = nuid.next();
  /**
   * By the whole subject of the answer, so that a node can answer for itself alone. Each has its own time limit, so the
   * table is as large as what is asked for within it.
   */
  private readonly waiting = new Map<string, Waiting>();
  private readonly listening = new Set<string>();
  private counter = 0;

  constructor(connection: NatsConnection, clock: Clock) {
    this.connection = connection;
    this.clock = clock;
    void connection.closed().then(() => this.failAll(new errors.ClosedConnectionError()));
  }

  request(
    subject: string,
    data: Uint8Array,
    inbox: { own: string; any: string },
    options: { timeout: number; headers?: MsgHdrs },
  ): Promise<Msg> {
    this.listen(inbox.any);
    this.counter += 1;
    const reply = `${inbox.own}${this.token}.${this.counter.toString(36)}`;
    return new Promise((resolve, reject) => {
      const timer = this.clock.after(options.timeout, () => this.fail(reply, new errors.TimeoutError()));
      this.waiting.set(reply, { subject, timer, resolve, reject });
      try {
        this.connection.publish(subject, data, {
          reply,
          ...(options.headers === undefined ? {} : { headers: options.headers }),
        });
      } catch (error) {
        this.fail(reply, error as Error);
      }
    });
  }

  /** The server refused this connection a subject: what waits for it will not be answered. */
  denied(error: InstanceType<typeof errors.PermissionViolationError>): void {
    if (error.operation === "subscription") {
      if (![...this.listening].some((inbox) => error.subject.startsWith(inbox))) return;
      this.listening.clear();
      this.failAll(error);
      return;
    }
    for (const [reply, { subject }] of this.waiting) if (subject === error.subject) this.fail(reply, error);
  }

  private listen(anyInbox: string): void {
    if (this.listening.has(anyInbox)) return;
    this.listening.add(anyInbox);
    this.connection.subscribe(`${anyInbox}${this.token}.*`, {
      callback: (error, message) => {
        if (error !== null) return;
        if (message.data.length === 0 && message.headers?.code === 503) {
          this.fail(message.subject, new errors.NoRespondersError(message.subject));
        } else {
          this.take(message.subject)?.resolve(message);
        }
      },
    });
  }

  private take(reply: string): Waiting | undefined {
    const found = this.waiting.get(reply);
    found?.timer();
    this.waiting.delete(reply);
    return found;
  }

  private fail(reply: string, error: Error): void {
    this.take(reply)?.reject(error);
  }

  private failAll(error: Error): void {
    for (const reply of this.waiting.keys()) this.fail(reply, error);
  }
}
