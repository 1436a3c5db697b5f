// What a cluster left on the bus beside its log. An empty log is not yet a new cluster: its stream may have been deleted, or its
// files lost, alone. Led as one, it would have every value in the buckets removed, and proxies would believe it.
import type { BucketName } from "../bus/subjects.ts";
import { SwainError } from "../kernel/errors.ts";
import type { Ledger } from "./ledger.ts";
import { logOf } from "./project/found.ts";
import { storedSnapshots } from "./snapshot/store.ts";
import type { SnapshotPorts } from "./snapshot/store.ts";

/** The smallest first: one value is enough, and a bucket is loaded in whole. */
const lookedAt: readonly BucketName[] = ["nodes", "desired", "endpoints", "workloads", "pods"];

/**
 * Rejects with LOG_INCOMPLETE where the log is empty, or holds nothing that a leader wrote, and something else is left of a cluster; with LOG_RESTORING, TIMEOUT or
 * JETSTREAM_ERROR where that cannot be told. The ledger has been brought up to the log's tail.
 */
export async function refuseRemains(ports: SnapshotPorts, ledger: Ledger): Promise<void> {
  const { bus, subjects } = ports;
  if (ledger.state.logId !== "") return;
  const left = await remains(ports);
  if (left === null) return;
  // It may be of a log that another controller began meanwhile.
  await ledger.catchUp(bus.log(subjects.stream));
  if (ledger.state.logId !== "") return;
  const message = `the log ${subjects.stream} is empty, but there is ${left}: it was lost or deleted alone`;
  throw new SwainError("LOG_INCOMPLETE", message);
}

/** The first thing found that only a log can have told: a whole snapshot, or a value in a bucket that names its log; in words. */
async function remains(ports: SnapshotPorts): Promise<string | null> {
  const { bus, subjects } = ports;
  for await (const { id, manifest } of storedSnapshots(ports)) {
    if (manifest !== null) return `snapshot ${id} of sequence ${manifest.sequence} of log ${manifest.logId}`;
  }
  for (const name of lookedAt) {
    const bucket = subjects.buckets[name];
    for (const { key, value } of (await bus.bucket(bucket).load()).values()) {
      const logId = value === null ? undefined : logOf(value);
      if (logId !== undefined) return `${key} of log ${logId} in bucket ${bucket}`;
    }
  }
  return null;
}
