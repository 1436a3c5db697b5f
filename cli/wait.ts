// Success is reported when it was observed. The feed hints at changes; the truth is read from the leader, never older than
// the accepted change. Called by the command wait and by --wait of apply, scale and delete.
import type { PodObject, ProxyObject } from "../schemas/generated/types.ts";
import { limits } from "../services/bus/limits.ts";
import { sleep } from "../services/kernel/clock.ts";
import { SwainError } from "../services/kernel/errors.ts";
import type { ApiObject, Client } from "./client.ts";
import type { Terminal } from "./command.ts";
import { heardProxies } from "./fetch.ts";
import { asksPods, asksProxies, goalLabel, lookAt, lookThroughPods, lookThroughProxies } from "./goals.ts";
import type { Goal } from "./goals.ts";
import { Hints } from "./hints.ts";
import { scopeOf } from "./kinds.ts";
import { because } from "./output/rows.ts";
import { harmless } from "./output/table.ts";
import { ageText } from "./output/units.ts";
import { Progress } from "./progress.ts";

export interface WaitOptions {
  readonly timeoutMs: number;
  /** Sequence of the accepted change. */
  readonly minSeq: number;
  /** True when an object that is not there at the first look is a mistake. */
  readonly mustExist?: boolean;
}

export const defaultWaitMs = 120_000;

/**
 * Resolves when every goal is reached. Throws WAIT_TIMEOUT with the reasons of pods that are not ready, or the reason for
 * which a goal will never be reached.
 */
export async function waitForGoals(
  terminal: Terminal,
  client: Client,
  goals: readonly Goal[],
  { timeoutMs, minSeq, mustExist = false }: WaitOptions,
): Promise<void> {
  const until = client.clock.mono() + timeoutMs;
  const namespaces = new Set(goals.map(({ kind, namespace }) => scopeOf(kind, namespace)));
  const [only] = namespaces;
  const hints = new Hints(client, namespaces.size === 1 && only !== undefined ? only : "_");
  const progress = new Progress(terminal, client.clock, goals.length);
  let open = [...goals];
  let held = new Map<string, string>();
  try {
    for (let first = mustExist; ; first = false) {
      const left: Goal[] = [];
      held = new Map();
      let proxies: ProxyObject[] | undefined;
      const newest = Math.max(minSeq, hints.take() ?? 0);
      for (const goal of open) {
        const scope = scopeOf(goal.kind, goal.namespace);
        const strict = first && goal.until !== "gone";
        const retryMs = timeToLook(until - client.clock.mono());
        const how = { minSeq: newest, retryMs };
        const object = await client[strict ? "get" : "find"](scope, goal.kind, goal.name, how);
        let look = lookAt(goal, object);
        if (look.done && object !== null && asksProxies(goal)) {
          proxies ??= await heardProxies(client);
          look = lookThroughProxies(look, object, proxies);
          if (!look.done) held.set(goalLabel(goal), look.progress);
        }
        if (!look.done && object !== null && asksPods(goal, object)) {
          lookThroughPods(goal, object, await podsNow(client, goal.namespace));
        }
        progress.tell(goalLabel(goal), look.progress, look.done);
        if (!look.done) left.push(goal);
      }
      open = left;
      if (open.length === 0) return;
      const rest = until - client.clock.mono();
      if (rest <= 0) throw await timedOut(client, open, held, timeoutMs);
      // What proxies say is in no feed.
      await hints.wait(held.size === 0 ? rest : Math.min(rest, proxiesMs));
    }
  } finally {
    progress.stop();
    hints.stop();
  }
}

/** Without a leader a look takes the time that is left; one that is slow to answer has this at least. */
const leastLookMs = 1000;

/** How long a leader is looked for when so much time is left, milliseconds. */
export const timeToLook = (restMs: number): number => Math.min(limits.clientRetryMs, Math.max(leastLookMs, restMs));

/** Proxies are asked again after this: they tell a change about as soon. */
const proxiesMs = 500;

/** Why it takes longer, as far as the pods and proxies say; `held` are services by label with what is against them. */
async function timedOut(
  client: Client,
  open: readonly Goal[],
  held: ReadonlyMap<string, string>,
  timeoutMs: number,
): Promise<SwainError> {
  const located = [...held].map(([place, message]) => ({ place, message: harmless(message) }));
  const workloads = open.filter(({ kind }) => kind === "workload");
  for (const namespace of new Set(workloads.map((goal) => goal.namespace))) {
    const names = new Set(workloads.filter((goal) => goal.namespace === namespace).map(({ name }) => name));
    const pods = await podsNow(client, namespace);
    const unready = pods.filter(({ spec, status }) => names.has(spec.workload) && status.state !== "ready");
    located.push(
      ...unready.slice(0, shownPods).map(({ metadata, status }) => ({
        place: `pod/${metadata.name}`,
        message: harmless(`${status.state} ${because(status.reason, status.message)}`.trim()),
      })),
    );
    if (unready.length > shownPods)
      located.push({ place: namespace, message: `and ${unready.length - shownPods} pods more` });
  }
  const what = open.map(goalLabel).join(", ");
  const how = open.every(({ until }) => until === "gone") ? "still there" : "not there";
  return new SwainError("WAIT_TIMEOUT", `${how} after ${ageText(timeoutMs)}: ${what}`, { details: { located } });
}

/** None where they cannot be had at once: what a leader that is just lost would say is not worth a wait of its own. */
async function podsNow(client: Client, namespace: string): Promise<PodObject[]> {
  const asked = new AbortController();
  const none = (): ApiObject[] => [];
  const late = sleep(client.clock, leastLookMs, asked.signal).then(none, none);
  const pods = await Promise.race([client.list(namespace, "pod").catch(none), late]);
  asked.abort();
  return pods as unknown as PodObject[];
}

/** Enough to see why; pods of one workload mostly share the reason. */
const shownPods = 10;
