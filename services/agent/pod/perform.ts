// Does one step with the driver and takes what came of it into the runner's view. Called by the runner alone.
import type { AssignedPod } from "../../../schemas/generated/types.ts";
import type { Key } from "../../core/model.ts";
import { asSwainError, SwainError } from "../../kernel/errors.ts";
import type { Code } from "../../kernel/errors.ts";
import { bounds } from "../bounds.ts";
import type { ContainerInfo } from "../runtime/driver.ts";
import { within } from "../stop.ts";
import { stopAsked } from "./fence.ts";
import type { PodRecord } from "./record.ts";
import { broughtDown, seenRunning } from "./record.ts";
import { foldSuccess } from "./restart.ts";
import type { RunnerContext } from "./runner.ts";
import { containerSpec } from "./spec.ts";
import type { Step } from "./step.ts";

/** The runner's side of a step. */
export interface StepTarget {
  readonly key: Key;
  pod(): AssignedPod | null;
  /** Of the pod told last, also when it is not wanted any more. */
  policy(): AssignedPod["restartPolicy"];
  graceMs(): number;
  /** True for a fenced pod: its stop waits for nobody. */
  isUrgent(): boolean;
  /** False when the pod's fate changed, or the agent stops. */
  wanted(): boolean;
  /** False for a fenced pod whose lease is too old for a start, or that was stopped for want of one. */
  mayStart(): boolean;
  /** Does something that is broken off when the pod is not wanted any more; rejects with STOPPED then. */
  abortable(work: (signal: AbortSignal) => Promise<void>): Promise<void>;
  record(): PodRecord;
  containers(): readonly ContainerInfo[];
  keep(record: PodRecord): void;
  /** Says at once what the record says now, while a step is under way. */
  report(): void;
  see(id: string, info: ContainerInfo | null): void;
}

/** A step that asks something of the engine. */
export type Action = Exclude<Step, { do: "wait" | "done" | "note" }>;

/** Nobody knows what came of such a call. */
const unanswered: ReadonlySet<Code> = new Set<Code>(["ENGINE_UNREACHABLE", "CONTAINER_STUCK"]);

/** Rejects with what the driver said, or STOPPED when the pod is no longer wanted. */
export async function perform(step: Action, context: RunnerContext, target: StepTarget): Promise<void> {
  switch (step.do) {
    case "pull":
      await pull(step.index, context, target);
      break;
    case "create":
      await create(step.index, context, target);
      break;
    case "start":
      await start(step, context, target);
      break;
    case "stop":
      await stop(step.ids, context, target);
      break;
    case "remove":
      await remove(step.ids, context, target);
      break;
  }
  target.keep(foldSuccess(target.record(), step.do));
}

/** A step may have waited in line while the pod's fate changed, or the engine went away. */
function stillWanted(context: RunnerContext, target: StepTarget): void {
  if (!target.wanted()) throw notWanted();
  const outage = context.outage();
  if (outage !== null) throw outage;
}

const notWanted = (): SwainError => new SwainError("STOPPED", "the pod is not wanted any more");

function specOf(index: number, context: RunnerContext, target: StepTarget) {
  const pod = target.pod();
  if (pod === null) throw notWanted();
  if (pod.network?.mode === "pod") {
    const owner = context.networkOf(pod.namespace, pod.network.workload ?? "");
    return containerSpec(pod, index, context.identity, owner ?? undefined);
  }
  const first = pod.containers[0]?.name;
  const firstId = target.containers().find((container) => container.name === first)?.id;
  return containerSpec(pod, index, context.identity, firstId);
}

async function pull(index: number, context: RunnerContext, target: StepTarget): Promise<void> {
  const spec = specOf(index, context, target);
  await context.gates.pull.run(async () => {
    stillWanted(context, target);
    let toldAt = context.clock.mono();
    const onProgress = (text: string): void => {
      if (context.clock.mono() - toldAt < bounds.progressMs) return;
      toldAt = context.clock.mono();
      target.keep({ ...target.record(), progress: text });
      target.report();
    };
    try {
      await target.abortable((signal) => context.driver.pull(spec, onProgress, signal));
    } finally {
      target.keep({ ...target.record(), progress: "" });
    }
  });
  const record = target.record();
  target.keep({ ...record, pulled: [...record.pulled, spec.container.name] });
}

async function create(index: number, context: RunnerContext, target: StepTarget): Promise<void> {
  const { id, name } = await context.gates.start.run(async () => {
    stillWanted(context, target);
    const spec = specOf(index, context, target);
    if (spec.network?.mode === "pod" && spec.joinNetworkOf === undefined) {
      const of = spec.network.workload ?? "";
      throw new SwainError(
        "NETWORK_POD_MISSING",
        `no pod of workload ${of} runs on this node, whose network is to be shared`,
      );
    }
    return { id: await context.driver.create(spec), name: spec.container.name };
  });
  target.see(id, {
    id,
    pod: target.key,
    name,
    state: "created",
    oomKilled: false,
    ports: [],
  });
}

async function start(
  step: Extract<Action, { do: "start" }>,
  context: RunnerContext,
  target: StepTarget,
): Promise<void> {
  const record = target.record();
  const urgent = record.restarts > 0;
  const neverRan = target.containers().some(({ id, state }) => id === step.id && state === "created");
  // Noted before the start: a container that ends while nobody looks must not pass for one that never ran.
  const started = [...record.started.filter((name) => name !== step.name), step.name];
  target.keep({ ...record, started, adopted: false });
  if (target.policy() !== "Always") await context.save();
  let asked = false;
  try {
    const info = await context.gates.start.run(async () => {
      stillWanted(context, target);
      // The line may have been longer than the lease.
      if (!target.mayStart()) throw notWanted();
      asked = true;
      return await context.driver.start(step.id);
    }, urgent);
    target.see(step.id, info);
    target.keep(seenRunning(target.record(), [step.name]));
  } catch (error) {
    // Without an answer it may have started. Whether one that never ran before did so, it shows afterwards.
    const shown = asked && neverRan && unanswered.has(asSwainError(error).code);
    const now = target.record();
    if (!shown) target.keep({ ...now, started: now.started.filter((name) => name !== step.name) });
    throw error;
  }
}

async function stop(ids: readonly string[], context: RunnerContext, target: StepTarget): Promise<void> {
  const look = async (id: string): Promise<ContainerInfo | null> => {
    const info = await context.driver.inspect(id);
    target.see(id, info);
    return info;
  };
  const isTask = target.policy() !== "Always";
  let noted: Promise<void> | null = null;
  const note = async (): Promise<void> => {
    target.keep(stopAsked(target.record(), target.containers()));
    if (!isTask || target.pod() === null) return;
    await (noted ??= within(context.clock, bounds.stopNoteMs, context.save()));
  };
  const stopAll = async (): Promise<void> => {
    const outage = context.outage();
    if (outage !== null && !target.isUrgent()) throw outage;
    const stopOne = async (id: string): Promise<void> => {
      const { fenced, leaving } = target.record();
      if (fenced || (leaving && isTask)) {
        // It may have ended by itself while the engine did not answer.
        if ((await look(id))?.state !== "running") return;
        // The next agent must not take the exit for its own. A disk that hangs or is full does not keep the pod running.
        await note();
      }
      await context.driver.stop(id, target.graceMs());
    };
    await Promise.all(ids.map(stopOne));
  };
  if (target.isUrgent()) await stopAll();
  else await context.gates.stop.run(stopAll);
  for (const id of ids) await look(id);
}

async function remove(ids: readonly string[], context: RunnerContext, target: StepTarget): Promise<void> {
  await context.gates.remove.run(async () => {
    const outage = context.outage();
    if (outage !== null) throw outage;
    // One that was to be started, and has not begun, does not end by that.
    if (target.record().leaving) target.keep(broughtDown(target.record(), target.containers()));
    for (const id of ids) {
      await context.driver.remove(id);
      target.see(id, null);
    }
  });
}
