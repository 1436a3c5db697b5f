// Stops the pods of a node whose agent takes them along. Called by `pods.ts`.
import type { Key } from "../core/model.ts";
import type { Clock } from "../kernel/clock.ts";
import { sleep } from "../kernel/clock.ts";
import { asSwainError, SwainError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { bounds } from "./bounds.ts";
import { Gate } from "./gate.ts";
import type { PodRunner } from "./pod/runner.ts";

interface StopPorts {
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Tells all runners that nothing is wanted of their pods, and waits until `empty`. Those that take long are killed, whatever
 * is left of their grace periods. Rejects with PODS_LEFT when some may run on.
 */
export async function stopPods(
  { clock, log }: StopPorts,
  runners: ReadonlyMap<Key, PodRunner>,
  empty: Promise<void>,
): Promise<void> {
  for (const runner of runners.values()) runner.tell(null);
  await within(clock, bounds.stopPodsMs, empty);
  if (runners.size > 0)
    await within(clock, bounds.killPodsMs, Promise.all([empty, killAll([...runners.values()], log)]));
  const left = [...runners.values()].filter((runner) => runner.mayRun).map(({ key }) => key);
  if (left.length > 0) throw new SwainError("PODS_LEFT", `pods of this node may run on: ${left.join(", ")}`);
}

async function killAll(runners: readonly PodRunner[], log: Logger): Promise<void> {
  // Not that of the runners: the stops under way hold its places.
  const gate = new Gate(bounds.stopsInFlight);
  const kill = async (runner: PodRunner): Promise<void> => {
    try {
      await gate.run(() => runner.kill());
    } catch (error) {
      const { code, message } = asSwainError(error);
      log.warn("could not kill a pod", { pod: runner.key, code, message });
    }
  };
  await Promise.all(runners.map(kill));
}

/** Resolves when the work is done, or after that time; rejects when the work does. */
export async function within(clock: Clock, ms: number, work: Promise<unknown>): Promise<void> {
  const over = new AbortController();
  const limit = sleep(clock, ms, over.signal).catch(() => {});
  await Promise.race([work, limit]);
  over.abort();
}
