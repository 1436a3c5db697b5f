// Whether the server at the other end of a connection is gone, judged with each ping. An answer that is missing says little: on a
// slow way it waits behind all that was sent before it. Pure; `nats-bus.ts` asks it, and `transport.ts` gives it the figures.

/** What a connection has carried so far. */
export interface Traffic {
  /** Bytes. */
  readonly came: number;
  /** Grows with what the kernel takes, whether or not it arrives. */
  readonly left: number;
  /** Above 0 while the kernel takes no more, because too much is on its way already. */
  readonly waiting: number;
}

/** Of a connection without a socket. */
export const noTraffic: Traffic = { came: 0, left: 0, waiting: 0 };

/** A server counts as gone when nothing moved from one ping to the next so often. */
const stillPings = 2;

export class Pulse {
  private before = noTraffic;
  /** Pings in a row between which nothing moved. */
  private still = 0;

  /** Takes note of the traffic as a ping goes out; `pending`: how many have no answer, this one included. */
  ping(pending: number, now: Traffic): "beats" | "falters" | "gone" {
    this.still = pending > 1 && !hasMoved(this.before, now) ? this.still + 1 : 0;
    this.before = now;
    if (this.still === 0) return "beats";
    return this.still < stillPings ? "falters" : "gone";
  }
}

/** True when the other side took or sent something in between. What leaves while nothing waits is no sign of it. */
function hasMoved(before: Traffic, now: Traffic): boolean {
  return now.came !== before.came || (before.waiting > 0 && now.left !== before.left);
}
