import type { Ledger } from "../../services/controller/ledger.ts";
import type { StoredSnapshot } from "../../services/controller/snapshot/store.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import type { BackupWriter } from "../backup-file.ts";
import type { Client } from "../client.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { clusterArgs } from "../settings.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "backup",
  description:
    "Write all the cluster knows into one file, its log from the newest snapshot on where the log was cut: from it `swain restore` brings the cluster back",
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
    const { openLedger } = await import("../../services/controller/snapshot/open.ts");
    const { systemPacking } = await import("../../services/kernel/node/packing.ts");
    const { bus, subjects, cluster } = client;
    const log = bus.log(subjects.stream);
    const isWhole = (await log.tail()).first === 1;
    // Folded first: what this version does not understand it cannot promise to bring back.
    const options = { onForeign: () => {}, onProblem: () => {}, order: isWhole ? "oldest" : "newest" } as const;
    const { ledger, base } = await openLedger({ bus, subjects, packing: systemPacking }, options);
    const { logId, sequence } = ledger.state;
    if (logId === "") throw new SwainError("NOT_FOUND", `cluster ${cluster} has no log yet`);
    const { records } = await write(client, file, ledger, base);
    const from = base === null ? "" : `, from the snapshot of ${base.manifest.sequence} on,`;
    call.terminal.out(`${records} records up to sequence ${sequence} of log ${logId}${from} are in ${file}\n`);
  });
}

/** Of a log that was cut: the snapshot, and the records from its last event on, by which it is known to belong there. */
async function write(client: Client, file: string, ledger: Ledger, base: StoredSnapshot | null): Promise<BackupWriter> {
  const { BackupWriter } = await import("../backup-file.ts");
  const { encodeState } = await import("../../services/core/snapshot/encode.ts");
  const { loadSnapshot } = await import("../../services/controller/snapshot/store.ts");
  const { systemPacking: packing } = await import("../../services/kernel/node/packing.ts");
  const { version } = await import("../../services/kernel/version.ts");
  const { bus, subjects, cluster, clock } = client;
  const { clusterUid, logId, sequence } = ledger.state;
  const log = bus.log(subjects.stream);
  const format = base === null ? 1 : 2;
  const time = new Date(clock.wall()).toISOString();
  const writer = new BackupWriter(file, {
    swain: "backup",
    format,
    cluster,
    clusterUid,
    logId,
    sequence,
    version,
    time,
  });
  try {
    const lines = base === null ? [] : encodeState(await loadSnapshot({ bus, subjects, packing }, base));
    for (const line of lines) writer.addLine(line);
    const from = base?.manifest.accepted ?? 1;
    await log.read(from, (record) => writer.add(record), sequence);
    if ((await log.tail()).first > from) {
      throw new SwainError("LOG_CUT", `the log was cut beyond ${from} while it was read: try again`);
    }
    // What a power cut takes meanwhile may have grown again under other events.
    await ledger.confirm(log, sequence);
    await writer.finish();
  } catch (error) {
    writer.abandon();
    throw error;
  }
  return writer;
}
