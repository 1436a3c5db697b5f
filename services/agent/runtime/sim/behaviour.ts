// How a simulated container behaves, out of its manifest's `sim:`. Pure.
import type { Container } from "../../../../schemas/generated/types.ts";
import { parseCpuMillis, parseDurationMs, parseMemoryBytes } from "../../../core/quantity.ts";
import type { ContainerUsage } from "../driver.ts";

export interface Behaviour {
  readonly pullMs: number;
  readonly startMs: number;
  /** From the start until its ports accept connections; null = they never do. */
  readonly readyMs: number | null;
  readonly failPull: boolean;
  readonly failStart: boolean;
  /** From the start until it ends by itself; null = it does not. */
  readonly exitMs: number | null;
  readonly exitCode: number;
  /** What it seems to use while it runs. */
  readonly usage: ContainerUsage;
  /** Only a kill ends it. */
  readonly ignoreStop: boolean;
}

/** Every field left out means: at once, and without a fault. */
export function behaviourOf(container: Container): Behaviour {
  const sim = container.sim ?? {};
  const ms = (duration: string | undefined): number => (duration === undefined ? 0 : parseDurationMs(duration));
  return {
    pullMs: ms(sim.pullDelay),
    startMs: ms(sim.startDelay),
    readyMs: sim.neverReady === true ? null : ms(sim.readyDelay),
    failPull: sim.failPull ?? false,
    failStart: sim.failStart ?? false,
    exitMs: sim.exitAfter === undefined ? null : ms(sim.exitAfter),
    exitCode: sim.exitCode ?? 0,
    usage: { cpuMillis: parseCpuMillis(sim.cpu ?? "5m"), memoryBytes: parseMemoryBytes(sim.memory ?? "16Mi") },
    ignoreStop: sim.ignoreStop ?? false,
  };
}
