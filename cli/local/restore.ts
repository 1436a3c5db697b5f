// `swain up --restore FILE`: a backup is written into the empty log of the server just started, before any controller is.
import { connectBus } from "../../services/bus/connect.ts";
import { restoreLog } from "../../services/controller/restore.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemIds, systemRandom } from "../../services/kernel/node/ids.ts";
import { systemPacking } from "../../services/kernel/node/packing.ts";
import { checkBackup, partsOf } from "../backup-file.ts";

export interface RestoreOptions {
  readonly file: string;
  readonly server: string;
  readonly cluster: string;
  /** Of a controller. */
  readonly creds: string | undefined;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Rejects with BACKUP_BROKEN or OTHER_CLUSTER before anything is written, and like `restoreLog`. */
export async function restoreBackup({ file, server, cluster, creds, say, signal }: RestoreOptions): Promise<void> {
  const header = await checkBackup(file);
  if (header.cluster !== cluster) {
    throw new SwainError("OTHER_CLUSTER", `${file} is of cluster ${header.cluster}, not of ${cluster}`);
  }
  const parts = { clock: systemClock, ids: systemIds, random: systemRandom, signal };
  const bus = await connectBus({
    ...parts,
    servers: server,
    name: "restore",
    cluster,
    log: silent,
    everyServer: true,
    ...(creds === undefined ? {} : { creds }),
  });
  try {
    const ports = { bus, cluster, clock: systemClock, ids: systemIds, packing: systemPacking };
    const restored = await restoreLog(ports, partsOf(file), {
      of: { name: header.cluster, uid: header.clusterUid },
      force: false,
    });
    say(`restored ${file}: ${restored.pods} pods; log ${restored.logId} goes on from ${restored.parent}`);
  } finally {
    await bus.close();
  }
}
