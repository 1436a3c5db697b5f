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

interface LeaderWatchPorts {
  readonly clock: Clock;
  readonly random: Random;
}

export interface LeaderWatch {
  /** A leader is heard by way of this connection. */
  isHeard(): boolean;
}

/**
 * Watches until the bus closes; a bus with one server is left alone, and so is one whose user may not hear the leader, as in
 * a server's configuration of an earlier version. `mayLeave` is asked before each move.
 */
export function watchLeader(
  bus: Bus,
  { clock, random }: LeaderWatchPorts,
  cluster: string,
  mayLeave: () => boolean = () => true,
): LeaderWatch {
  // Counts looks and not time: after a stall of this process, beats may wait unread.
  let missed = 0;
  let moved = 0;
  let restsUntil = -Infinity;
  let isHere = false;
  let isRefused = false;
  const watch: LeaderWatch = { isHeard: () => isHere && missed * lookMs <= limits.leaderlessMs };
  if (!bus.hasOthers) return watch;
  const patienceMs = limits.leaderlessMs + spreadMs * random.next();
  const look = (): void => {
    missed += 1;
    const now = clock.mono();
    if (missed * lookMs <= patienceMs || now < restsUntil || bus.state() !== "connected") return;
    if (isRefused || !mayLeave()) return;
    restsUntil = now + delayMs(moves, moved++);
    bus.elsewhere();
  };
  const ticking = clock.every(lookMs, look);
  const heard = (): void => {
    [missed, moved, restsUntil, isHere, isRefused] = [0, 0, -Infinity, true, false];
  };
  bus.subscribe(subjectsOf(cluster).leader, heard, { onRefused: () => (isRefused = true) });
  bus.onState((state) => {
    [missed, isHere, isRefused] = [0, false, false];
    if (state === "closed") ticking();
  });
  return watch;
}
