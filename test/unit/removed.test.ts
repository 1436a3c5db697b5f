// Whose credentials end by what the log says of removed nodes, over restores.
import { expect, it } from "vitest";
import { removedNodes } from "../../cli/local/removed.ts";
import { leaving } from "../../services/bus/embedded/registry.ts";
import type { Registry } from "../../services/bus/embedded/registry.ts";
import type { Bus } from "../../services/bus/port.ts";

const event = (logId: string, sequence: number, type: string, subject = "") => ({
  id: `${logId}.${sequence}.0`,
  sequence,
  type,
  subject,
});
const removed = (logId: string, sequence: number) => event(logId, sequence, "swain.node.removed", "_/node/n2");
/** Its log goes on from the backup's. */
const restored = (logId: string) => event(logId, 301, "swain.cluster.restored");
/** n2 was removed and has joined again. */
const backup = [removed("a", 100), event("a", 150, "swain.node.registered"), event("a", 300, "swain.pod.ready")];

/** What `event.list` answers: pages of the newest events before the cursor. */
const busOf = (log: readonly object[]): Bus =>
  ({
    request: (_: string, query: { limit: number; after?: string }) => {
      const end = query.after === undefined ? log.length : Number(query.after);
      const start = Math.max(0, end - query.limit);
      const reply = { items: log.slice(start, end), ...(start > 0 ? { next: String(start) } : {}) };
      return Promise.resolve({ header: () => undefined, json: () => reply });
    },
  }) as unknown as Bus;

const leavingOf = async (log: readonly object[], seen: Registry["seen"]): Promise<number[]> => {
  const { removals } = await removedNodes(busOf(log), "default", seen);
  const members = [{ role: "agent-n2" as const, publicKey: "U", token: "t", joined: 0 }];
  return leaving({ members, tokens: [], seen }, removals).map(({ sequence }) => sequence);
};

it.each([
  ["the first restore", "b", { logId: "a", sequence: 480 }],
  ["the second restore of the same backup", "c", { logId: "b", sequence: 600 }],
])("a machine that joined again before the backup keeps its credentials after %s", async (_, logId, seen) => {
  expect(await leavingOf([...backup, restored(logId)], seen)).toEqual([]);
  expect(await leavingOf([...backup, restored(logId), removed(logId, 305)], seen)).toEqual([305]);
});

it("what was removed since the last look ends, also before a restore", async () => {
  const seen = { logId: "a", sequence: 90 };
  expect(await leavingOf(backup, seen)).toEqual([100]);
  expect(await leavingOf([event("a", 80, "swain.pod.ready"), ...backup, restored("b")], seen)).toEqual([100]);
});
