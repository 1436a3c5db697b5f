// Ends processes that an earlier supervisor left behind when it was killed.
import type { ChildKind, ChildMark, UpRecord } from "./layout.ts";
import { endProcess, isAlive, killProcess } from "./processes.ts";
import type { End } from "./processes.ts";

/** Controllers first, so that nothing is re-placed while agents go; the server last, so that everybody can say goodbye. */
const order: readonly (readonly ChildKind[])[] = [["controller"], ["agent", "proxy"], ["nats"]];

/** Agents may have to stop their pods, each with its own time of grace. */
export const stopMs: Readonly<Record<ChildKind, number>> = {
  controller: 10_000,
  agent: 60_000,
  proxy: 20_000,
  nats: 10_000,
};

export interface Ended {
  readonly stopped: readonly ChildMark[];
  /** Those of them that had to be killed. */
  readonly killed: readonly ChildMark[];
  /** Those that even a kill did not end. */
  readonly stuck: readonly ChildMark[];
}

/**
 * Ends the recorded processes that still live. With `keepPods`, agents are killed without a word: an agent asked politely
 * may have been told to take its pods along, while one that is killed leaves them for its successor.
 */
export async function endLeftovers(record: UpRecord, keepPods: boolean): Promise<Ended> {
  const alive = record.children.filter(isAlive);
  const ends = new Map<ChildMark, End>();
  for (const kinds of order) {
    const group = alive.filter((child) => kinds.includes(child.kind));
    const end = (child: ChildMark): Promise<End> =>
      child.kind === "agent" && keepPods ? killProcess(child) : endProcess(child, stopMs[child.kind]);
    await Promise.all(group.map(async (child) => ends.set(child, await end(child))));
  }
  const those = (...wanted: End[]): ChildMark[] => alive.filter((child) => wanted.includes(ends.get(child) ?? "stuck"));
  return { stopped: those("ended", "killed"), killed: those("killed"), stuck: those("stuck") };
}
