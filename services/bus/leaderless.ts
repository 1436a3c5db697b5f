// Has a part leave a server by way of which no leader is heard: it may have lost the others, and answers pings all the same.
// Called by the main.ts of controllers, agents and proxies.
import { delayMs } from "../kernel/backoff.ts";
import type { Backoff } from "../kernel/backoff.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Random } from "../kernel/ids.ts";
import { limits } from "./limits.ts";
import type { Bus } from "./port.ts";
import { subjectsOf } from "./subjects.ts";

const lookMs = 1000;
/** Where nobody leads, all parts would leave their servers in the same moment. */
const spreadMs = 2000;
/** Between two moves without a leader in between: the other servers may be no better, and readers begin anew with each. */
const moves: Backoff = { firstMs: 30_000, maxMs: 600_000, factor: 2 };

export interface LeaderWatchPorts {
  readonly clock: Clock;
  readonly random: Random;
}

export interface LeaderWatch {
  /** A leader is heard by way of this connection. */
  isHeard(): boolean;
  /** One was heard since it began. */
  wasHeard(): boolean;
}

/**
 * Watches until the bus closes; a bus with one server is left alone. `mayLeave` is asked before each move, and told what is
 * known.
 */
export function watchLeader(
  bus: Bus,
  { clock, random }: LeaderWatchPorts,
  cluster: string,
  mayLeave: (watch: LeaderWatch) => boolean = () => true,
): LeaderWatch {
  // Counts looks and not time: after a stall of this process, beats may wait unread.
  let missed = 0;
  let moved = 0;
  let restsUntil = -Infinity;
  let heardAny = false;
  const patienceMs = limits.leaderlessMs + spreadMs * random.next();
  const watch: LeaderWatch = {
    isHeard: () => heardAny && missed * lookMs <= limits.leaderlessMs,
    wasHeard: () => heardAny,
  };
  if (!bus.hasOthers) return watch;
  const look = (): void => {
    missed += 1;
    const now = clock.mono();
    if (missed * lookMs <= patienceMs || now < restsUntil || bus.state() !== "connected" || !mayLeave(watch)) return;
    restsUntil = now + delayMs(moves, moved++);
    bus.elsewhere();
  };
  const ticking = clock.every(lookMs, look);
  bus.subscribe(subjectsOf(cluster).leader, () => {
    [missed, moved, heardAny] = [0, 0, true];
  });
  bus.onState((state) => {
    missed = 0;
    if (state === "closed") ticking();
  });
  return watch;
}
