// Whose credentials end by what the log says of removed nodes, over restores.
import { expect, it } from "vitest";
import { farewells } from "../../cli/local/farewell.ts";
import { removedNodes } from "../../cli/local/removed.ts";
import { leaving, revoke } from "../../services/bus/embedded/registry.ts";
import type { Registry } from "../../services/bus/embedded/registry.ts";
import type { Bus, BusMessage } from "../../services/bus/port.ts";
import { facts } from "../support/core.ts";
import { ProcessTime, TestTime } from "../support/sim-time.ts";

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

/** The log was looked through up to 500, lost all from 451 on, and grew again under a leader elected there. */
const regrown = (sequence: number, type: string, subject = "") => {
  const epoch = sequence > 450 ? 451 : 300;
  return { ...event("a", sequence, type, subject), id: `a.${epoch}.${sequence}.0` };
};

it("a node that was removed where the log had grown further before loses its credentials", async () => {
  let registry: Registry = {
    members: [{ role: "agent-n2", publicKey: "U", token: "t", joined: 0 }],
    tokens: [],
    seen: { logId: "a", epoch: 300, sequence: 500 },
  };
  const log = [
    regrown(450, "swain.pod.ready"),
    regrown(451, "swain.leader.elected"),
    regrown(470, "swain.node.removed", "_/node/n2"),
  ];
  const look = async (): Promise<number[]> => {
    const found = await removedNodes(busOf(log), "default", registry.seen);
    const gone = leaving(registry, found.removals);
    registry = revoke(registry, found.removals, found.upTo);
    return gone.map(({ sequence }) => sequence);
  };
  expect(await look()).toEqual([470]);
  for (let at = 471; at <= 520; at += 1) log.push(regrown(at, "swain.pod.ready"));
  expect(await look()).toEqual([]);
  expect(registry).toMatchObject({ members: [], seen: { epoch: 451, sequence: 520 } });
});

it.each([
  ["an earlier one", 400, ["n2"]],
  ["when it did", 451, []],
])(
  "what an agent holds is its farewell only when the leader told it that removed its node, not %s",
  async (_, epoch, deaf) => {
    const time = new TestTime();
    const clock = new ProcessTime(time);
    const heartbeat = { bootId: "b", logId: "a", epoch, generation: 490, reported: 0, time: 0, facts: facts() };
    const subscribe = (_subject: string, handler: (message: BusMessage) => void) =>
      clock.every(1000, () => handler({ json: () => heartbeat } as unknown as BusMessage));
    const removal = { logId: "a", epoch: 451, sequence: 470, node: "n2" };
    const left = await time.until(farewells({ subscribe } as unknown as Bus, "test", [removal], clock));
    expect(left.map(({ node }) => node)).toEqual(deaf);
  },
);
