// Has a part leave a server by way of which no leader is heard: it may have lost the others, and answers pings all the same.
// Called by `connect.ts` for parts that may hear the leader; agents may not, and know it by what they ask.
import type { Clock } from "../kernel/clock.ts";
import { limits } from "./limits.ts";
import type { Bus } from "./port.ts";
import { subjectsOf } from "./subjects.ts";

const lookMs = 2000;

/** Watches until the bus closes. */
export function leaveLeaderless(bus: Bus, clock: Clock, cluster: string): void {
  // Counts looks and not time: after a stall of this process, beats may wait unread.
  let missed = 0;
  const heard = (): void => {
    missed = 0;
  };
  const look = (): void => {
    missed += 1;
    if (missed * lookMs > limits.leaderlessMs) bus.elsewhere();
  };
  const ticking = clock.every(lookMs, look);
  bus.subscribe(subjectsOf(cluster).leader, heard);
  bus.onState((state) => {
    heard();
    if (state === "closed") ticking();
  });
}
