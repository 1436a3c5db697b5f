// What an operator does after the bus lost its store: `swain restore`, with the code that ships, until it succeeds.
import { restoreLog } from "../../../services/controller/restore.ts";
import type { SavedPart } from "../../../services/controller/restore.ts";
import { subjectsOf } from "../../../services/bus/subjects.ts";
import { asSwainError } from "../../../services/kernel/errors.ts";
import { systemPacking } from "../../../services/kernel/node/packing.ts";
import { Link } from "../bus/link.ts";
import type { LogEntry } from "../observer.ts";
import { nextVersion } from "./next-version.ts";
import type { World } from "./world.ts";

const cluster = "default";
/** A try that the bus broke begins with an empty store, some seconds later and by way of another server. */
const mostTries = 10;
const againMs = 5000;

/** Resolves to what went wrong at last, or null. */
export async function restore(
  world: World,
  backup: readonly LogEntry[],
  clusterUid: string,
  isLogAlone: boolean,
): Promise<string | null> {
  const { clock, random, ids } = world.onlooker;
  const connection = await world.server.connect({ clock, random, name: "restores", link: new Link() });
  // Its own is the newest version that all controllers understand.
  const isNext = world.controllers.every((controller) => controller.isNext);
  const bus = isNext ? nextVersion(connection, random) : connection;
  const { eventBatch: subject } = subjectsOf(cluster);
  async function* parts(): AsyncGenerator<SavedPart> {
    for (const { sequence, data } of backup) yield { sequence, subject, data };
  }
  let problem: string | null = "it was not tried";
  for (let tries = 0; tries < mostTries && problem !== null; tries += 1) {
    try {
      const ports = { bus, cluster, clock, ids, packing: systemPacking };
      await restoreLog(ports, parts(), { of: { name: cluster, uid: clusterUid }, force: true });
      world.server.sync();
      problem = null;
    } catch (error) {
      problem = asSwainError(error).message;
      if (isLogAlone) world.server.meddler.deleteLog();
      else world.server.wipe();
      if (connection.hasOthers) connection.elsewhere();
      await new Promise<void>((resolve) => {
        world.timeline.after(againMs, resolve);
      });
    }
  }
  await bus.close();
  return problem;
}
