// Closes a small gap of the engine: it may tell that a container died before it noticed that memory was the reason.
import { sleep } from "../../../kernel/clock.ts";
import type { Clock } from "../../../kernel/clock.ts";
import type { Inspected } from "./inspect.ts";
import { oomRace } from "./timeouts.ts";

/** Ends remembered at once; older ones are long settled. */
const mostEnds = 1000;

/** 128 + SIGKILL: how the kernel ends what runs out of memory. */
const killed = 137;

/** True when it was killed, had a memory limit, and the engine does not say that this was the reason. */
export function isKilledUnderLimit({ State: state, HostConfig: config }: Inspected): boolean {
  // Podman calls it stopped until it has cleaned up.
  const ended = state.Status === "exited" || state.Status === "stopped";
  return ended && state.ExitCode === killed && !state.OOMKilled && Boolean(config.Memory);
}

export class FreshEnds {
  private readonly clock: Clock;
  /** Container id → when its die event came. */
  private readonly ends = new Map<string, number>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Takes an event of the engine. */
  take(action: string, id: string): void {
    this.ends.delete(id);
    if (action !== "die") return;
    this.ends.set(id, this.clock.mono());
    const oldest = this.ends.keys().next();
    if (this.ends.size > mostEnds && !oldest.done) this.ends.delete(oldest.value);
  }

  /** What `inspect` finds, asked again for a moment while a fresh kill may still turn out to be for want of memory. */
  async settle(id: string, inspect: () => Promise<Inspected | null>): Promise<Inspected | null> {
    for (let time = 0; ; time += 1) {
      const found = await inspect();
      if (found === null || time >= oomRace.times || !this.undecided(id, found)) return found;
      await sleep(this.clock, oomRace.everyMs);
    }
  }

  private undecided(id: string, found: Inspected): boolean {
    if (!isKilledUnderLimit(found)) return false;
    const end = this.ends.get(id);
    return end !== undefined && this.clock.mono() - end < oomRace.freshMs;
  }
}
