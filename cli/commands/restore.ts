import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { clusterArgs } from "../settings.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "restore",
  description: [
    "Bring a cluster back from a file of `swain backup`: into an empty log, with the key of a controller, while no controller runs.",
    "Pods of the backup that still run go on; pods made after it are stopped by their nodes",
  ].join(" "),
  examples: [
    "swain restore swain-monday.backup --creds ~/.swain/creds/controller.nk",
    "swain restore swain-monday.backup --cluster copy --force",
  ],
  args: {
    file: { type: "positional", required: false, description: "The backup" },
    force: { type: "boolean", description: "Also when it is of another cluster, by name or by uid" },
    ...clusterArgs,
  },
  run: restore,
});

async function restore(call: Call): Promise<void> {
  const [file] = call.positionals;
  if (file === undefined) throw new SwainError("INVALID_ARGUMENT", "name the file: swain restore FILE");
  const { checkBackup, partsOf } = await import("../backup-file.ts");
  const header = await checkBackup(file);
  await withClient(
    call,
    async (client) => {
      const { bus, cluster, clock, ids } = client;
      const force = call.flag("force");
      if (header.cluster !== cluster && !force) {
        throw new SwainError("OTHER_CLUSTER", `${file} is of cluster ${header.cluster}, not of ${cluster}`);
      }
      const { restoreLog } = await import("../../services/controller/restore.ts");
      const { systemPacking } = await import("../../services/kernel/node/packing.ts");
      const ports = { bus, cluster, clock, ids, packing: systemPacking };
      const of = { name: header.cluster, uid: header.clusterUid };
      const restored = await restoreLog(ports, partsOf(file), { of, force });
      const { logId, parent, sequence, pods } = restored;
      call.terminal.out(`log ${logId} begins at sequence ${sequence} with ${pods} pods; its parent is ${parent}\n`);
      if (header.cluster === cluster) {
        call.terminal.out("Start the controllers now. Pods made after the backup are stopped by their nodes.\n");
      } else {
        call.terminal.out(
          `Start the controllers now. ${cluster} is a copy: its nodes touch no pod of ${header.cluster}.\n`,
        );
      }
    },
    true,
  );
}
