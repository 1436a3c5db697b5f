// The demo's hand on single replicas, past Swain: it kills one as a crash would, and looks for what is left at the end.
import { setTimeout as pause } from "node:timers/promises";
import type { Engine } from "../../services/agent/runtime/docker/engine.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import type { ChildMark, ProcessMark } from "./layout.ts";
import { isAlive, markOf, processStart } from "./processes.ts";
import { openEngine } from "./runtime.ts";
import type { Chosen } from "./runtime.ts";

const engineMs = 10_000;

interface FoundContainer {
  readonly Id: string;
  readonly Names: readonly string[];
}

interface FoundProgram {
  readonly State: { readonly Pid: number };
}

export interface Victim {
  readonly chosen: Chosen;
  readonly clusterUid: string;
  /** Name of the pod, in the default namespace. */
  readonly pod: string;
  readonly pid: number | undefined;
}

const lookMs = 5;
/** The system takes moments to end a killed process, more where it is busy. */
const endsWithinMs = 10_000;

/** Ends one replica at once; resolves when it is gone, for until then it may take connections and answer none of them. */
export async function killReplica(victim: Victim): Promise<void> {
  if (victim.chosen.runtime !== "docker") {
    if (victim.pid === undefined) throw new Error(`${victim.pod} did not tell its process id`);
    const mark = markOf(victim.pid);
    process.kill(victim.pid, "SIGKILL");
    if (mark !== null && !(await ended(mark))) throw runsOn(victim.pod);
    return;
  }
  const engine = await openEngine(victim.chosen.engine);
  try {
    const labels = [`swain.cluster=${victim.clusterUid}`, `swain.pod=default/${victim.pod}`];
    const [container] = await engine.ask<readonly FoundContainer[]>({
      what: "find the replica's container",
      method: "GET",
      path: "/containers/json",
      query: { filters: JSON.stringify({ label: labels }) },
      timeout: engineMs,
    });
    if (container === undefined) throw new Error(`${victim.pod} has no running container`);
    await killContainer(engine, victim.pod, container.Id);
  } finally {
    engine.close();
  }
}

/** Podman answers a kill when it has seen the container stopped, which it misses where that is started again at once. */
async function killContainer(engine: Engine, pod: string, id: string): Promise<void> {
  const path = `/containers/${id}`;
  const look = { what: `look at ${pod}`, method: "GET", path: `${path}/json`, timeout: engineMs } as const;
  const programOf = (): Promise<number | null> =>
    engine.ask<FoundProgram>(look).then(
      ({ State }) => State.Pid,
      (error: unknown) => {
        // Made anew instead of started again.
        if (error instanceof SwainError && error.details["status"] === 404) return null;
        throw error;
      },
    );
  const before = await programOf();
  const kill = { what: `kill ${pod}`, method: "POST", path: `${path}/kill`, timeout: engineMs } as const;
  const failed = engine.ask(kill).then(
    () => null,
    (error: unknown) => error,
  );
  const until = performance.now() + endsWithinMs;
  do {
    await pause(lookMs);
    if ((await programOf()) !== before) return;
  } while (performance.now() < until);
  throw (await failed) ?? runsOn(pod);
}

/** False when it still runs after a while. */
async function ended(mark: ProcessMark): Promise<boolean> {
  const until = performance.now() + endsWithinMs;
  while (isAlive(mark) && performance.now() < until) await pause(lookMs);
  return !isAlive(mark);
}

const runsOn = (pod: string): SwainError => new SwainError("DEMO_FAILED", `${pod} was killed and runs on`);

export interface Traces {
  readonly chosen: Chosen;
  readonly clusterUid: string;
  readonly children: readonly ChildMark[];
  /** Processes that were replicas. */
  readonly pids: readonly number[];
}

/** Names of containers and processes of the demo that are still there. */
export async function whatIsLeft(traces: Traces): Promise<string[]> {
  const left = traces.children.filter(isAlive).map((child) => `${child.name} (${child.pid})`);
  left.push(...traces.pids.filter((pid) => processStart(pid) !== null).map((pid) => `replica (${pid})`));
  if (traces.chosen.runtime === "docker" && traces.clusterUid !== "") left.push(...(await containersLeft(traces)));
  return left;
}

async function containersLeft({ chosen, clusterUid }: Traces): Promise<string[]> {
  const engine = await openEngine(chosen.engine);
  try {
    const found = await engine.ask<readonly FoundContainer[]>({
      what: "look for containers left behind",
      method: "GET",
      path: "/containers/json",
      query: { all: true, filters: JSON.stringify({ label: [`swain.cluster=${clusterUid}`] }) },
      timeout: engineMs,
    });
    return found.map((container) => `container ${container.Names[0] ?? container.Id}`);
  } finally {
    engine.close();
  }
}
