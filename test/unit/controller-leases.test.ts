// Leases as the leader grants them: after a look at the log that began later than the request came.
import { beforeEach, describe, expect, it } from "vitest";
import { leaseReply } from "../../schemas/generated/messages.js";
import type { Bus, BusMessage } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { noCounts } from "../../services/controller/counters.ts";
import { snapshotPolicy } from "../../services/controller/snapshot/policy.ts";
import { systemPacking } from "../../services/kernel/node/packing.ts";
import { noSnapshotter } from "../support/snapshots.ts";
import { noMeasures } from "../../services/controller/figures.ts";
import { Boots } from "../../services/controller/nodes/boots.ts";
import { Leases } from "../../services/controller/nodes/leases.ts";
import type { Context } from "../../services/controller/ports.ts";
import { TermClock } from "../../services/controller/term/clock.ts";
import { fencing } from "../../services/core/fence.ts";
import { leaseWorth } from "../../services/core/lease.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { silent } from "../../services/kernel/log.ts";
import { ManualClock, settle } from "../support/agent.ts";
import { TestCluster } from "../support/core.ts";

const subjects = subjectsOf("test");

let clock: ManualClock;
let cluster: TestCluster;
let leases: Leases;
let boots: Boots;
/** Looks at the log that are under way. */
let looks: ((tail: { last: number; replicas: number }) => void)[];
let answers: { node: string; body: Record<string, unknown> }[];
let granted: string[];
let trusted: boolean;
let awake: boolean;
let reached: number[];

beforeEach(async () => {
  clock = new ManualClock();
  cluster = new TestCluster({ n1: {}, n2: {} });
  [looks, answers, granted, reached, trusted, awake] = [[], [], [], [], true, true];
  const bus = {
    log: () => ({ tail: () => new Promise((resolve) => looks.push(resolve)) }),
    publish: (subject: string, body: Record<string, unknown>) =>
      answers.push({ node: subject.split(".")[3] ?? "", body }),
  };
  const context: Context = {
    clock,
    ids: { next: () => "id" },
    random: { next: () => 0 },
    bus: bus as unknown as Bus,
    log: silent,
    cluster: "test",
    id: "c1",
    subjects,
    counters: noCounts(),
    measures: noMeasures(),
    packing: systemPacking,
    snapshotter: noSnapshotter,
    policy: snapshotPolicy,
  };
  boots = new Boots(context);
  leases = new Leases(context, cluster.state, "own", boots, {
    trusted: () => Promise.resolve(trusted),
    reached: async (sequence) => {
      reached.push(sequence);
      if (sequence > cluster.state.sequence) throw new SwainError("TIMEOUT", "not there");
    },
    isAwake: () => awake,
    onGranted: (node) => granted.push(node),
  });
});

const ask = (node: string, body: object = { bootId: "b", logId: cluster.state.logId }): void => {
  const reply = `${subjects.node.inbox(node)}1`;
  leases.onMessage({
    subject: subjects.node.lease(node),
    reply,
    data: new Uint8Array(),
    json: () => body,
  } as BusMessage);
};
const look = async (more: object = {}): Promise<void> => {
  looks.shift()?.({ last: cluster.state.sequence, replicas: 1, ...more });
  await settle();
};
const codes = (): unknown[] =>
  answers.map(({ body }) => (body["error"] as { code: string } | undefined)?.code ?? "granted");

describe("a lease", () => {
  it("is granted for a heard node with what the node should hold by now; one look serves all that wait", async () => {
    ask("n1");
    ask("n2");
    expect(looks).toHaveLength(0);
    await clock.advance(100);
    expect(looks).toHaveLength(1);
    expect(granted).toEqual([]);
    await look();
    const { logId, epoch } = cluster.state;
    const generation = (node: string): unknown => cluster.state.nodes.get(node)?.assignment;
    expect(answers).toEqual([
      { node: "n1", body: { logId, epoch, generation: generation("n1") } },
      { node: "n2", body: { logId, epoch, generation: generation("n2") } },
    ]);
    expect(granted).toEqual(["n1", "n2"]);
  });

  it("says that the log lost a leader that is later than itself, and what was not told in its own term", async () => {
    const { logId, epoch } = cluster.state;
    const generation = cluster.state.nodes.get("n1")?.assignment ?? 0;
    const lost = async (asked: object): Promise<unknown> => {
      ask("n1", { bootId: "b", logId, ...asked });
      await clock.advance(100);
      await look();
      return answers.at(-1)?.body["lost"];
    };
    expect(await lost({ epoch: epoch + 7, generation: 0 })).toBe(epoch + 7);
    expect(await lost({ epoch, generation: generation + 1 })).toBe(epoch);
    expect(await lost({ epoch, generation })).toBeUndefined();
    expect(await lost({ epoch: epoch - 1, generation: generation + 1 })).toBeUndefined();
    expect(await lost({ epoch, term: "own", generation })).toBeUndefined();
    expect(await lost({ epoch, term: "other", generation })).toBe(epoch);
    expect(await lost({ epoch: epoch - 1, term: "other", generation })).toBeUndefined();
  });

  it("is refused where that may only have been read stale, before that would have ended", async () => {
    const { logId, epoch } = cluster.state;
    const lost = async (node: string, more: number): Promise<unknown> => {
      ask(node, { bootId: "b", logId, epoch: epoch + more, generation: 0 });
      await clock.advance(100);
      await look({ replicas: 3 });
      return answers.at(-1)?.body["lost"] ?? codes().at(-1);
    };
    expect(await lost("n1", 7)).toBe("NO_LEADER");
    await clock.advance(fencing.staleReadMs * fencing.drift);
    expect(await lost("n1", 8)).toBe("NO_LEADER");
    expect(await lost("n2", 7)).toBe("NO_LEADER");
    await clock.advance(fencing.staleReadMs * fencing.drift - 1000);
    expect(await lost("n1", 8)).toBe("NO_LEADER");
    expect(granted).toEqual([]);
    await clock.advance(1000);
    expect(await lost("n1", 8)).toBe(epoch + 8);
  });

  it("of the other leader of one epoch does not count before that leader is sure to be lost", async () => {
    const { logId, epoch } = cluster.state;
    const generation = cluster.state.nodes.get("n1")?.assignment ?? 0;
    const held = { logId, epoch, term: "other", generation };
    const worth = async (): Promise<unknown> => {
      ask("n1", { bootId: "b", ...held });
      await clock.advance(100);
      await look({ replicas: 3 });
      const body = answers.at(-1)?.body;
      return leaseReply(body) ? leaseWorth(held, epoch, body) : codes().at(-1);
    };
    expect(await worth()).toBe("NO_LEADER");
    await clock.advance(fencing.staleReadMs * fencing.drift);
    expect(await worth()).toBe("lost");
  });

  it("waits for a look that began after it was asked for", async () => {
    ask("n1");
    await clock.advance(100);
    ask("n2");
    await look();
    expect(granted).toEqual(["n1"]);
    await clock.advance(100);
    await look();
    expect(granted).toEqual(["n1", "n2"]);
  });

  it("is granted by nobody who was followed by another, or is behind the log, or is not trusted", async () => {
    ask("n1");
    await clock.advance(100);
    cluster.elect("c2");
    await look();
    expect(codes()).toEqual(["NO_LEADER"]);
    ask("n1");
    await clock.advance(100);
    await look({ last: cluster.state.sequence + 1 });
    expect(reached.at(-1)).toBe(cluster.state.sequence + 1);
    expect(codes()).toEqual(["NO_LEADER", "TIMEOUT"]);
    trusted = false;
    ask("n1");
    await clock.advance(100);
    expect(codes()).toEqual(["NO_LEADER", "TIMEOUT", "NO_LEADER"]);
    ask("n2");
    leases.stop();
    expect(codes().at(-1)).toBe("NO_LEADER");
    expect(granted).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it("is granted by nobody who is not trusted any more once the log was read: it may be another's by then", async () => {
    ask("n1");
    await clock.advance(100);
    trusted = false;
    await look();
    expect(codes()).toEqual(["NO_LEADER"]);
    expect(granted).toEqual([]);
  });

  it("is granted by nobody whose machine slept: the server beside it may not know yet that it lost the others", async () => {
    ask("n1");
    await clock.advance(100);
    awake = false;
    await look();
    expect(codes()).toEqual(["NO_LEADER"]);
    expect(granted).toEqual([]);
  });

  it("is refused to nodes that are not heard or not known, to other logs, and to an agent that was followed by another", async () => {
    cluster.silent.add("n1");
    cluster.pass(5000);
    boots.hear("n2", "old");
    boots.hear("n2", "new");
    ask("n1");
    ask("n9");
    ask("n2", { bootId: "old", logId: cluster.state.logId });
    ask("n3", { not: "a request" });
    ask("n4", { bootId: "b", logId: "x".repeat(65) });
    await clock.advance(100);
    await look();
    expect(codes()).toEqual(["NODE_UNHEARD", "NOT_FOUND", "NODE_ID_DOUBLED"]);
    ask("n2", { bootId: "new", logId: "another" });
    await clock.advance(100);
    await look();
    expect(codes().at(-1)).toBe("LOG_UNKNOWN");
    expect(granted).toEqual([]);
  });
});

describe("the clock of a term", () => {
  it("tells that the machine slept, and not that its clock was set back or by a little", async () => {
    const term = new TermClock(clock, { time: 0, foldedAt: 0 });
    await clock.advance(60_000);
    clock.sleep(4000);
    expect(term.mayHaveSlept()).toBe(false);
    clock.sleep(2000);
    expect(term.mayHaveSlept()).toBe(true);
    clock.sleep(-60_000);
    expect(term.mayHaveSlept()).toBe(false);
  });
});

describe("the log", () => {
  it("passes for replicated until it was seen to have one replica, and stays so once it was seen with more", async () => {
    expect(leases.logReplicated).toBe(true);
    leases.start();
    await look();
    expect(leases.logReplicated).toBe(false);
    for (const replicas of [3, 1]) {
      ask("n1");
      await clock.advance(100);
      await look({ replicas });
      expect(leases.logReplicated).toBe(true);
    }
  });
});
