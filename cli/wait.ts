// `--wait`: success is reported when it was observed. The feed hints at changes; the truth is read from the leader, never
// older than the accepted change. Called by apply, scale and delete.
import type { PodObject, WorkloadObject } from "../schemas/generated/types.ts";
import { isCode, SwainError } from "../services/kernel/errors.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./command.ts";
import { Hints } from "./hints.ts";
import { because } from "./output/rows.ts";
import { harmless } from "./output/table.ts";
import { ageText } from "./output/units.ts";

/** An object and the state it should come to. */
export interface Goal {
  readonly kind: "workload" | "service" | "autoscaler";
  readonly namespace: string;
  readonly name: string;
  readonly until: "settled" | "gone";
}

export interface WaitOptions {
  readonly timeoutMs: number;
  /** Sequence of the accepted change. */
  readonly minSeq: number;
}

export const defaultWaitMs = 120_000;

interface Look {
  readonly done: boolean;
  /** How far it is, in a few words. */
  readonly progress: string;
}

const label = ({ kind, namespace, name }: Goal): string => `${kind} ${namespace}/${name}`;

/**
 * Resolves when every goal is reached. Throws WAIT_TIMEOUT with the reasons of pods that are not ready, or the reason for
 * which a workload's change halted.
 */
export async function waitForGoals(
  terminal: Terminal,
  client: Client,
  goals: readonly Goal[],
  { timeoutMs, minSeq }: WaitOptions,
): Promise<void> {
  const until = client.clock.mono() + timeoutMs;
  const namespaces = new Set(goals.map(({ namespace }) => namespace));
  const [only] = namespaces;
  const hints = new Hints(client, namespaces.size === 1 && only !== undefined ? only : "_");
  const told = new Map<Goal, string>();
  let open = [...goals];
  try {
    for (;;) {
      const left: Goal[] = [];
      const newest = Math.max(minSeq, hints.take() ?? 0);
      for (const goal of open) {
        const look = await lookAt(client, goal, newest);
        if (told.get(goal) !== look.progress) terminal.err(`${label(goal)}: ${harmless(look.progress)}\n`);
        told.set(goal, look.progress);
        if (!look.done) left.push(goal);
      }
      open = left;
      if (open.length === 0) return;
      const rest = until - client.clock.mono();
      if (rest <= 0) throw await timedOut(client, open, timeoutMs);
      await hints.wait(rest);
    }
  } finally {
    hints.stop();
  }
}

async function lookAt(client: Client, goal: Goal, minSeq: number): Promise<Look> {
  const object = await client.find(goal.namespace, goal.kind, goal.name, minSeq);
  if (goal.until === "gone") {
    if (object === null) return { done: true, progress: "gone" };
    const pods = goal.kind === "workload" ? (object as unknown as WorkloadObject).status.pods : 0;
    return { done: false, progress: `stopping, ${pods} pods left` };
  }
  if (object === null) throw new SwainError("NOT_FOUND", `${label(goal)} was deleted while it was waited for`);
  if (goal.kind !== "workload") return { done: true, progress: "in place" };
  return workloadLook(goal, object as unknown as WorkloadObject);
}

function workloadLook(goal: Goal, { spec, status }: WorkloadObject): Look {
  const { replicas, ready, updated, phase, reason, message } = status;
  if (phase === "halted") {
    if (isCode(reason)) throw new SwainError(reason, `${label(goal)} halted: ${message}`);
    throw new SwainError("PROGRESS_DEADLINE", `${label(goal)} halted: ${because(reason, message)}`);
  }
  if (phase === "deleting") throw new SwainError("DELETED", `${label(goal)} is being deleted`);
  // Pods that may end by themselves are not ready for ever; the leader calls the workload steady when they have.
  const endless = (spec.restartPolicy ?? "Always") === "Always";
  const done = phase === "steady" && updated === replicas && (!endless || ready === replicas);
  const counts = `${ready}/${replicas} ready${updated === replicas ? "" : `, ${updated} of the new template`}`;
  const why = done || reason === "" ? "" : ` (${because(reason, message)})`;
  return { done, progress: `${counts}${done ? "" : `, ${phase}`}${why}` };
}

/** Why it takes longer, as far as the pods say. */
async function timedOut(client: Client, open: readonly Goal[], timeoutMs: number): Promise<SwainError> {
  const located: { place: string; message: string }[] = [];
  const workloads = open.filter(({ kind }) => kind === "workload");
  for (const namespace of new Set(workloads.map((goal) => goal.namespace))) {
    const names = new Set(workloads.filter((goal) => goal.namespace === namespace).map(({ name }) => name));
    const pods = (await client.list(namespace, "pod")) as unknown as PodObject[];
    const late = pods.filter(({ spec, status }) => names.has(spec.workload) && status.state !== "ready");
    located.push(
      ...late.slice(0, shownPods).map(({ metadata, status }) => ({
        place: `pod/${metadata.name}`,
        message: harmless(`${status.state} ${because(status.reason, status.message)}`.trim()),
      })),
    );
    if (late.length > shownPods)
      located.push({ place: namespace, message: `and ${late.length - shownPods} pods more` });
  }
  const what = open.map(label).join(", ");
  return new SwainError("WAIT_TIMEOUT", `not there after ${ageText(timeoutMs)}: ${what}`, { details: { located } });
}

/** Enough to see why; pods of one workload mostly share the reason. */
const shownPods = 10;
