// The options --wait and --timeout of commands that change something.
import type { Accepted, ChangeResult } from "../schemas/generated/types.ts";
import type { Client } from "./client.ts";
import type { Call } from "./command.ts";
import { durationMs } from "./durations.ts";
import type { Goal } from "./goals.ts";
import { defaultWaitMs, waitForGoals } from "./wait.ts";

export const waitArgs = {
  wait: { type: "boolean", description: "Return when it was observed, not when it was accepted" },
  timeout: { type: "string", valueHint: "DURATION", description: "How long to wait (default: 120s)" },
} as const;

/** The changed objects as goals. */
export function goalsOf(results: readonly ChangeResult[], until: Goal["until"]): Goal[] {
  return results.flatMap(({ kind, namespace, name }) => {
    const known = kind.toLowerCase();
    return known === "workload" || known === "service" || known === "autoscaler"
      ? [{ kind: known, namespace, name, until }]
      : [];
  });
}

/** Waits for the goals when the call says so. Throws what `waitForGoals` throws. */
export async function waitIfAsked(
  call: Call,
  client: Client,
  accepted: Accepted,
  goals: readonly Goal[],
): Promise<void> {
  const timeoutMs = durationMs(call, "timeout") ?? defaultWaitMs;
  if (!call.flag("wait") || goals.length === 0) return;
  try {
    await waitForGoals(call.terminal, client, goals, { timeoutMs, minSeq: accepted.sequence });
  } catch (error) {
    if (call.signal.aborted) call.terminal.err("Interrupted: what was accepted goes on.\n");
    throw error;
  }
}
