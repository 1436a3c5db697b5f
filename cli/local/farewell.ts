// Waits until the agents of removed nodes know it: the leader tells them to run nothing, and their heartbeats say that they
// hold that. Only then do they lose their credentials; without them nobody could tell them ever again.
import { heartbeat as isHeartbeat } from "../../schemas/generated/messages.js";
import type { Removal } from "../../services/bus/embedded/registry.ts";
import { limits } from "../../services/bus/limits.ts";
import type { Bus, BusMessage } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import type { Clock } from "../../services/kernel/clock.ts";

/** Three heartbeats missed: there is nobody to wait for. */
const silentMs = 3000;

/** Those of the removals whose agents were heard and did not say in time that they hold nothing any more. */
export async function farewells(
  bus: Bus,
  cluster: string,
  removals: readonly Removal[],
  clock: Clock,
): Promise<Removal[]> {
  const told = await Promise.all(removals.map((removal) => farewell(bus, cluster, removal, clock)));
  return removals.filter((_, at) => told[at] === false);
}

/** True when the agent knows, or none speaks for the node; false when one does and did not learn it in time. */
function farewell(bus: Bus, cluster: string, removal: Removal, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (knows: boolean): void => {
      stop();
      silent();
      late();
      resolve(knows);
    };
    const stop = bus.subscribe(subjectsOf(cluster).node.heartbeat(removal.node), (message) => {
      silent();
      if (holdsNothing(message, removal)) end(true);
      else silent = clock.after(silentMs, () => end(true));
    });
    let silent = clock.after(silentMs, () => end(true));
    const late = clock.after(limits.farewellMs, () => end(false));
  });
}

/** Generations of nodes are sequences of the log, and a later one says that the node was registered anew and told everything. */
function holdsNothing(message: BusMessage, { logId, epoch = 0, sequence }: Removal): boolean {
  const body = message.json();
  // What an earlier leader told may be of an end that the log lost, and its number means nothing here.
  return isHeartbeat(body) && body.logId === logId && (body.epoch ?? Infinity) >= epoch && body.generation >= sequence;
}
