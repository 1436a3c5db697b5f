// `swain down`: stops a cluster from outside, also one whose supervisor is gone.
import { SwainError } from "../../services/kernel/errors.ts";
import { systemDisk } from "../../services/kernel/node/disk.ts";
import { localPaths, readRecord } from "./layout.ts";
import type { ProcessMark } from "./layout.ts";
import { endLeftovers, stopMs } from "./leftovers.ts";
import { lockOwner } from "./lock.ts";
import { endProcess, isAlive, signal, waitForEnd } from "./processes.ts";
import { strayServer } from "./stray.ts";
import { namesOf, podsLeftBy } from "./supervisor.ts";

/** Controllers, then agents with their pods, then the server: the sum of what each may take. */
const supervisorMs = 100_000;

/**
 * Stops everything and says what, also where `run/` was removed below a running cluster. Throws NOT_RUNNING
 * when nothing runs, TIMEOUT when something does not end, PODS_LEFT when agents did not stop all their pods.
 */
export async function stopLocal(data: string, say: (line: string) => void): Promise<void> {
  const paths = localPaths(data);
  const record = readRecord(data);
  const stray = strayServer(paths);
  const owners = [lockOwner(paths), record?.supervisor ?? null, stray?.supervisor ?? null];
  const owner = owners.find((mark) => mark !== null && isAlive(mark)) ?? null;
  const alive = record?.children.filter(isAlive) ?? [];
  if (owner === null && stray !== null) return stopStray(stray.server, data, say);
  if (owner === null && alive.length === 0) {
    await systemDisk.remove(paths.record);
    throw new SwainError("NOT_RUNNING", `nothing runs from ${data}`);
  }
  const began = performance.now();
  if (owner !== null) {
    signal(owner, "SIGTERM");
    if (!(await waitForEnd(owner, supervisorMs))) {
      say(`supervisor (${owner.pid}) did not end in ${supervisorMs / 1000} s and is killed`);
      signal(owner, "SIGKILL");
      await waitForEnd(owner, 5000);
    }
  }
  // What a dying supervisor left, or one that was killed earlier.
  const rest = readRecord(data) ?? record;
  const { killed, stuck } = rest === null ? { killed: [], stuck: [] } : await endLeftovers(rest, false);
  if (stuck.length > 0) throw new SwainError("TIMEOUT", `${namesOf(stuck)} did not end`);
  await systemDisk.remove(paths.record);
  const stopped = owner === null ? alive : [{ name: "supervisor", pid: owner.pid }, ...alive];
  say(`stopped ${namesOf(stopped)} in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  const agents = rest?.runtime === "sim" ? [] : killed.filter(({ kind }) => kind === "agent");
  const podsLeft = [...(rest?.podsLeft ?? []), ...agents.map(({ name }) => `${name} (killed)`)];
  if (podsLeft.length > 0) throw podsLeftBy(podsLeft);
}

/** A server whose supervisor is gone: which agents and pods belonged to it nobody can tell any more. */
async function stopStray(server: ProcessMark, data: string, say: (line: string) => void): Promise<void> {
  if ((await endProcess(server, stopMs.nats)) === "stuck")
    throw new SwainError("TIMEOUT", `nats-server (${server.pid}) did not end`);
  say(`stopped nats-server (${server.pid}); its supervisor and the record of its other parts are gone:`);
  say(`end those by hand, they have ${data} on their command lines`);
}
