// Finds out whether a run still runs, and signals its processes. The wrapper's pid is the number of the process group.
import { SwainError } from "../../../kernel/errors.ts";
import { allProcesses, bootId, commandLine, hasVariable, processStat } from "./proc.ts";
import type { ProcessStat } from "./proc.ts";
import type { Leader, ProcessStore, Run } from "./store.ts";

/** Set for every process of a run; tells them from others when the wrapper is gone and its pid may be used anew. */
export const runVariable = "SWAIN_PROCESS_RUN";

export const runMark = (id: string, run: Run): string => `${id}/${run.number}`;

export type RunState =
  | { readonly state: "running"; readonly leader: Leader | null; readonly wrapper: boolean }
  | { readonly state: "exited"; readonly exitCode: number | null };

/** `mine`: this driver started the wrapper and has not seen it end; only then may its pid not be written yet. */
export async function runState(store: ProcessStore, id: string, run: Run, mine: boolean): Promise<RunState> {
  const ended = await endOf(store, id, run);
  if (ended) return ended;
  if (!mine && (await store.leader(id, run)) === null) await store.claim(id, run);
  const leader = await store.leader(id, run);
  if (leader === "claimed") return { state: "exited", exitCode: null };
  if (leader === null) {
    // Either it is just beginning, or it ended before it could write a line.
    return mine ? { state: "running", leader: null, wrapper: true } : { state: "exited", exitCode: null };
  }
  if (await leaderLives(leader)) return { state: "running", leader, wrapper: true };
  if ((await members(store, id, run, leader)).length > 0) return { state: "running", leader, wrapper: false };
  // It may have written its code between the two looks.
  const late = await endOf(store, id, run);
  if (late) return late;
  await store.writeUnobserved(id, run);
  return { state: "exited", exitCode: null };
}

async function endOf(store: ProcessStore, id: string, run: Run): Promise<RunState | null> {
  const exit = await store.exit(id, run);
  if (exit === null) return null;
  const isSure = exit !== "unobserved" && (exit !== 0 || !(await isOfEarlierBoot(await store.leader(id, run))));
  return { state: "exited", exitCode: isSure ? exit : null };
}

/** A machine that goes down asks every program to end: one that does so in order has not done its work for that. */
const isOfEarlierBoot = async (leader: Leader | "claimed" | null): Promise<boolean> =>
  leader !== null && leader !== "claimed" && leader.bootId !== (await bootId());

/** True when the command itself runs (or has run): until then its process is still a copy of the wrapper. */
export async function hasBegun(store: ProcessStore, id: string, run: Run, leader: Leader): Promise<boolean> {
  const child = await store.child(id, run);
  return child !== null && (await commandLine(child.pid)) !== (await commandLine(leader.pid));
}

async function leaderLives(leader: Leader): Promise<boolean> {
  const stat = await processStat(leader.pid);
  return stat?.startTicks === leader.startTicks && leader.bootId === (await bootId());
}

/** The run's living processes, the wrapper included. */
async function members(store: ProcessStore, id: string, run: Run, leader: Leader): Promise<ProcessStat[]> {
  if (leader.bootId !== (await bootId())) return [];
  const group = (await allProcesses()).filter((found) => found.group === leader.pid);
  if (await leaderLives(leader)) return group;
  // A number is not given to another group while a process of the first one lives. A program may have written over its variables.
  const child = await store.child(id, run);
  if (group.some(({ pid, startTicks }) => pid === child?.pid && startTicks === child.startTicks)) return group;
  const marked = await Promise.all(group.map(({ pid }) => hasVariable(pid, runVariable, runMark(id, run))));
  return group.filter((_, index) => marked[index]);
}

/** Asks the whole run to end. A stopped process must go on to hear it. */
export async function terminate(store: ProcessStore, id: string, run: Run, leader: Leader): Promise<void> {
  if (await leaderLives(leader)) {
    signal(-leader.pid, "SIGTERM");
    signal(-leader.pid, "SIGCONT");
    return;
  }
  for (const { pid } of await members(store, id, run, leader)) {
    signal(pid, "SIGTERM");
    signal(pid, "SIGCONT");
  }
}

/** Ends the run's processes; the wrapper only when told so, because it writes the exit code and then ends by itself. */
export async function kill(
  store: ProcessStore,
  id: string,
  run: Run,
  leader: Leader,
  wrapperToo: boolean,
): Promise<void> {
  for (const { pid } of await members(store, id, run, leader)) {
    if (pid !== leader.pid || wrapperToo) signal(pid, "SIGKILL");
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // Gone already: that is what was wanted.
    if (code === "ESRCH") return;
    throw new SwainError("ENGINE_ERROR", `process ${Math.abs(pid)} cannot be signalled: ${message}`, { cause: error });
  }
}
