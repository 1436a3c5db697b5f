// Runs in the thread: one job on a connection of its own, and an answer.
import { parentPort, workerData } from "node:worker_threads";
import { connectBus } from "../../bus/connect.ts";
import { subjectsOf } from "../../bus/subjects.ts";
import { asSwainError } from "../../kernel/errors.ts";
import { silent } from "../../kernel/log.ts";
import { systemClock } from "../../kernel/node/clock.ts";
import { systemIds, systemRandom } from "../../kernel/node/ids.ts";
import { systemPacking } from "../../kernel/node/packing.ts";
import type { SnapshotReport } from "../snapshot/port.ts";
import { checkSnapshots, makeSnapshot } from "../snapshot/work.ts";
import type { Job, Outcome } from "./job.ts";

async function run({ server, creds, cluster, id, order }: Job): Promise<SnapshotReport> {
  const ports = { clock: systemClock, random: systemRandom, log: silent };
  const name = `snapshots of controller ${id}`;
  const bus = await connectBus({ ...ports, servers: server, name, cluster, ...(creds === null ? {} : { creds }) });
  try {
    const work = {
      bus,
      cluster,
      subjects: subjectsOf(cluster),
      clock: systemClock,
      ids: systemIds,
      packing: systemPacking,
    };
    return await (order === null ? checkSnapshots(work) : makeSnapshot(work, order));
  } finally {
    await bus.close();
  }
}

async function outcome(job: Job): Promise<Outcome> {
  try {
    return { report: await run(job) };
  } catch (error) {
    const { code, message } = asSwainError(error);
    return { code, message };
  }
}

parentPort?.postMessage(await outcome(workerData as Job));
