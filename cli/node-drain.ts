// `swain node drain --wait`: shows what is left on the node until it is empty, and why what does not move stays.
import type { NodeObject, PodObject } from "../schemas/generated/types.ts";
import { isCode, SwainError } from "../services/kernel/errors.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./command.ts";
import { Hints } from "./hints.ts";
import { because } from "./output/rows.ts";
import { harmless } from "./output/table.ts";
import { ageText } from "./output/units.ts";
import { timeToLook } from "./wait.ts";

/** Resolves when the node is empty. Throws WAIT_TIMEOUT or DRAIN_BLOCKED with the reasons, NOT_FOUND when it was removed. */
export async function waitForDrain(
  terminal: Terminal,
  client: Client,
  node: string,
  { timeoutMs, minSeq }: { timeoutMs: number; minSeq: number },
): Promise<void> {
  const until = client.clock.mono() + timeoutMs;
  const hints = new Hints(client, "_");
  let told = "";
  try {
    for (;;) {
      const newest = Math.max(minSeq, hints.take() ?? 0);
      const how = { minSeq: newest, retryMs: timeToLook(until - client.clock.mono()) };
      const { status } = (await client.get("_", "node", node, how)) as unknown as NodeObject;
      const left = status.mode === "draining" ? await podsOn(client, node) : [];
      const progress = progressOf(status, left.length);
      if (progress !== told) terminal.err(`node ${node}: ${harmless(progress)}\n`);
      told = progress;
      if (status.mode === "cordoned" && status.reason === "DRAINED") return;
      if (status.mode !== "draining")
        throw new SwainError("STOPPED", `the drain of node ${node} was ended: it is ${status.mode}`);
      const rest = until - client.clock.mono();
      if (rest <= 0) throw timedOut(node, status, left, timeoutMs);
      await hints.wait(rest);
    }
  } finally {
    hints.stop();
  }
}

function progressOf({ mode, reason, message }: NodeObject["status"], left: number): string {
  if (mode === "cordoned") return reason === "DRAINED" ? `drained. ${message}` : "cordoned";
  return `draining, ${left} ${left === 1 ? "pod" : "pods"} left${reason === "" ? "" : ` (${because(reason, message)})`}`;
}

async function podsOn(client: Client, node: string): Promise<PodObject[]> {
  const pods = (await client.list("_", "pod")) as unknown as PodObject[];
  return pods.filter(({ spec, status }) => spec.node === node && status.state !== "stopped" && status.state !== "lost");
}

function timedOut(
  node: string,
  { reason, message }: NodeObject["status"],
  left: readonly PodObject[],
  timeoutMs: number,
): SwainError {
  const located = left.slice(0, shownPods).map(({ metadata, status }) => ({
    place: `pod/${metadata.name}`,
    message: harmless(`${status.state} ${because(status.reason, status.message)}`.trim()),
  }));
  const what = `node ${node} still has ${left.length} ${left.length === 1 ? "pod" : "pods"} after ${ageText(timeoutMs)}`;
  if (isCode(reason)) return new SwainError(reason, `${what}: ${message}`, { details: { located } });
  return new SwainError("WAIT_TIMEOUT", what, { details: { located } });
}

/** Enough to see which. */
const shownPods = 10;
