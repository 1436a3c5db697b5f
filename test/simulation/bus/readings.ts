// Notices who begins to read records of the log, so that something can happen just then.
import type { Cancel } from "../../../services/kernel/clock.ts";
import type { ConsumerConfig } from "./consumer.ts";
import type { Packet } from "./message.ts";

/** Told the first sequence that is asked for, and by which client. */
type OnRead = (from: number, by: string) => void;

export class Readings {
  private readonly prefix: string;
  private onRead: OnRead | undefined;

  constructor(stream: string) {
    this.prefix = `$JS.API.CONSUMER.CREATE.${stream}.`;
  }

  /** Has it happen once a client begins to read records that are there, before it is answered; the returned function ends the waiting for it. */
  atNext(happens: OnRead): Cancel {
    this.onRead = happens;
    return () => {
      if (this.onRead === happens) this.onRead = undefined;
    };
  }

  /** A request to JetStream has come; the log ends at `last`. */
  look(packet: Packet, by: string, last: number): void {
    const { onRead } = this;
    if (onRead === undefined || !packet.subject.startsWith(this.prefix)) return;
    const { config } = packet.json() as { config: ConsumerConfig };
    const from = config.opt_start_seq ?? Infinity;
    if (from > last) return;
    this.onRead = undefined;
    onRead(from, by);
  }
}
