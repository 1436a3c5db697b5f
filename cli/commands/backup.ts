import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { clusterArgs } from "../settings.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "backup",
  description: "Write the whole log of the cluster into one file, from which `swain restore` brings the cluster back",
  examples: ["swain backup swain-monday.backup"],
  args: {
    file: { type: "positional", required: false, description: "The file to write; it must not be there yet" },
    ...clusterArgs,
  },
  run: backup,
});

async function backup(call: Call): Promise<void> {
  const [file] = call.positionals;
  if (file === undefined) throw new SwainError("INVALID_ARGUMENT", "name the file: swain backup FILE");
  if (file === "-")
    throw new SwainError("INVALID_ARGUMENT", "a backup goes into a file, so that it is there only as a whole");
  await withClient(call, async (client) => {
    const { Ledger } = await import("../../services/controller/ledger.ts");
    const { BackupWriter } = await import("../backup-file.ts");
    const { version } = await import("../../services/kernel/version.ts");
    const log = client.bus.log(client.subjects.stream);
    // Folded first: what this version does not understand it cannot promise to bring back.
    const ledger = new Ledger(() => {});
    await ledger.catchUp(log);
    const { logId, clusterUid, sequence } = ledger.state;
    if (logId === "") throw new SwainError("NOT_FOUND", `cluster ${client.cluster} has no log yet`);
    const time = new Date(client.clock.wall()).toISOString();
    const { cluster } = client;
    const writer = new BackupWriter(file, {
      swain: "backup",
      format: 1,
      cluster,
      clusterUid,
      logId,
      sequence,
      version,
      time,
    });
    try {
      await log.read(1, (record) => {
        if (record.sequence <= sequence) writer.add(record);
      });
      writer.finish();
    } catch (error) {
      writer.abandon();
      throw error;
    }
    const { checkBackup } = await import("../backup-file.ts");
    await checkBackup(file);
    call.terminal.out(`${writer.records} records up to sequence ${sequence} of log ${logId} are in ${file}\n`);
  });
}
