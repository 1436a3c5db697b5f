// `swain down`: stops a cluster from outside, also one whose supervisor is gone.
import { SwainError } from "../../services/kernel/errors.ts";
import { systemDisk } from "../../services/kernel/node/disk.ts";
import { localPaths, readRecord } from "./layout.ts";
import { endLeftovers } from "./leftovers.ts";
import { dropLock, lockOwner } from "./lock.ts";
import { isAlive, signal, waitForEnd } from "./processes.ts";
import { namesOf } from "./supervisor.ts";

/** Controllers, then agents with their pods, then the server: the sum of what each may take. */
const supervisorMs = 100_000;

/** Stops everything and says what. Throws NOT_RUNNING when nothing runs, TIMEOUT when something does not end. */
export async function stopLocal(data: string, say: (line: string) => void): Promise<void> {
  const paths = localPaths(data);
  const owner = lockOwner(paths);
  const record = readRecord(data);
  const supervised = owner !== null && isAlive(owner);
  const alive = record?.children.filter(isAlive) ?? [];
  if (!supervised && alive.length === 0) {
    await forget(data);
    throw new SwainError("NOT_RUNNING", `nothing runs from ${data}`);
  }
  const began = performance.now();
  if (supervised) {
    signal(owner, "SIGTERM");
    if (!(await waitForEnd(owner, supervisorMs))) {
      say(`supervisor (${owner.pid}) did not end in ${supervisorMs / 1000} s and is killed`);
      signal(owner, "SIGKILL");
      await waitForEnd(owner, 5000);
    }
  }
  // What a dying supervisor left, or one that was killed earlier.
  const rest = readRecord(data) ?? record;
  const { stuck } = rest === null ? { stuck: [] } : await endLeftovers(rest, false);
  if (stuck.length > 0) throw new SwainError("TIMEOUT", `${namesOf(stuck)} did not end`);
  await forget(data);
  const stopped = supervised ? [{ name: "supervisor", pid: owner.pid }, ...alive] : alive;
  say(`stopped ${namesOf(stopped)} in ${((performance.now() - began) / 1000).toFixed(1)} s`);
}

async function forget(data: string): Promise<void> {
  const paths = localPaths(data);
  await systemDisk.remove(paths.record);
  dropLock(paths);
}
