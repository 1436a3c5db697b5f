// Keeps something open over any fault: opens it again after it was lost and after every reconnect.
import { jitteredMs } from "../kernel/backoff.ts";
import type { Cancel } from "../kernel/clock.ts";
import { SwainError } from "../kernel/errors.ts";
import type { Wire } from "./wire.ts";

/** After the first try, which follows at once: many readers lose a server together. */
const backoff = { firstMs: 1000, maxMs: 5000, factor: 2 };
const firstTry = { leastMs: 20, spreadMs: 230 };
/** What lived this long was healthy; its loss starts the delays anew. */
const settledMs = 10_000;
/** A bounded read gives up when nothing came for this long: longer than a stream's change of leader. */
const stalledMs = 10_000;

/** Opens what `open` opens, again and again, until cancelled or until the bus closes. */
export function keepOpen(wire: Wire, what: string, open: (onLost: (error: SwainError) => void) => Cancel): Cancel {
  let current: Cancel | undefined;
  let timer: Cancel | undefined;
  let attempt = 0;
  let openedAt = 0;

  const end = (): void => {
    timer?.();
    timer = undefined;
    current?.();
    current = undefined;
  };
  const start = (): void => {
    end();
    // Without a connection nothing can be opened; the reconnect starts it.
    if (wire.state() !== "connected") return;
    openedAt = wire.clock.mono();
    let live = true;
    const cancel = open((error) => {
      if (live) onLost(error);
    });
    current = () => {
      live = false;
      cancel();
    };
  };
  const soon = (): void => {
    end();
    timer = wire.clock.after(firstTry.leastMs + firstTry.spreadMs * wire.random.next(), start);
  };
  const onLost = (error: SwainError): void => {
    if (wire.clock.mono() - openedAt >= settledMs) attempt = 0;
    wire.logger.warn("a reader was lost and is opened again", { reader: what, attempt, error: error.message });
    if (attempt === 0) {
      soon();
    } else {
      end();
      timer = wire.clock.after(jitteredMs(backoff, attempt - 1, wire.random), start);
    }
    attempt += 1;
  };
  const stopState = wire.onState((state) => {
    if (state !== "connected") return;
    // Messages sent into the broken link are lost, and a server that was restarted has forgotten its consumers.
    attempt = 0;
    soon();
  });

  start();
  return wire.own(() => {
    stopState();
    end();
  });
}

interface Reading {
  /** Something came. */
  readonly progress: () => void;
  readonly done: () => void;
  readonly lost: (error: SwainError) => void;
  /** What the reader was told made its owner fail. */
  readonly fail: (error: unknown) => void;
}

/**
 * Runs a reader until it is done, opening it again when it is lost. Rejects with what `fail` was given, with the last fault, or with TIMEOUT, when
 * nothing came for 10 s, and with BUS_CLOSED when the bus closes.
 */
export function readToEnd(wire: Wire, what: string, open: (reading: Reading) => Cancel): Promise<void> {
  return new Promise((resolve, reject) => {
    let progressAt = wire.clock.mono();
    let fault: SwainError | undefined;
    let over = false;
    const finish = (settle: () => void): void => {
      if (over) return;
      over = true;
      settle();
      stop();
      disown();
      ticking();
    };
    const ticking = wire.clock.every(1000, () => {
      if (wire.clock.mono() - progressAt < stalledMs) return;
      finish(() => reject(fault ?? new SwainError("TIMEOUT", `nothing came for ${what}`)));
    });
    const disown = wire.own(() => finish(() => reject(new SwainError("BUS_CLOSED", `closed while reading ${what}`))));
    const stop = keepOpen(wire, what, (lost) =>
      open({
        progress: () => {
          progressAt = wire.clock.mono();
        },
        done: () => finish(resolve),
        fail: (error) => finish(() => reject(error)),
        lost: (error) => {
          fault = error;
          lost(error);
        },
      }),
    );
  });
}
