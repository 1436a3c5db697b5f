// Nodes that come and go for months under one leader, as machines of a cloud that have ids of their own.
import { beforeEach, expect, it } from "vitest";
import type { Assign, EventItem, NodeFacts } from "../../schemas/generated/types.ts";
import { limits } from "../../services/bus/limits.ts";
import type { Bus, BusMessage } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { Assigner } from "../../services/controller/assign/assigner.ts";
import { noCounts } from "../../services/controller/counters.ts";
import { Boots } from "../../services/controller/nodes/boots.ts";
import { Heartbeats } from "../../services/controller/nodes/heartbeats.ts";
import { Reports } from "../../services/controller/nodes/reports.ts";
import type { Context } from "../../services/controller/ports.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { silent } from "../../services/kernel/log.ts";
import { settle } from "../support/agent.ts";
import { facts, TestCluster, workloadManifest } from "../support/core.ts";

const subjects = subjectsOf("test");

let now: number;
let cluster: TestCluster;
let boots: Boots;
let context: Context;
let answers: unknown[];
let assigns: Assign[];

beforeEach(() => {
  now = 0;
  cluster = new TestCluster();
  [answers, assigns] = [[], []];
  const bus = {
    publish: (_: string, value: unknown) => answers.push(value),
    request: (_: string, value: Assign) => {
      assigns.push(value);
      return Promise.reject(new SwainError("NO_LEADER", "nobody listens"));
    },
  } as unknown as Bus;
  const clock = { mono: () => now, wall: () => now };
  context = { clock, bus, subjects, log: silent, counters: noCounts() } as unknown as Context;
  boots = new Boots(context);
});

const remove = (node: string): void => {
  cluster.write("api", [{ kind: "node", verb: "removed", name: node, reason: "", message: "" }]);
};

it("one registers after as many others as are known at once came, registered or not, and went", () => {
  const heartbeats = new Heartbeats(context, cluster.state, boots, {
    onHeard: () => {},
    onBack: () => {},
    onFacts: () => {},
    onTrouble: () => {},
  });
  const beat = (node: string, logId = "", own: NodeFacts = facts()): void => {
    const body = { bootId: "b", logId, generation: 0, facts: own };
    heartbeats.onMessage({
      subject: subjects.node.heartbeat(node),
      isOver: () => false,
      json: () => body,
    } as unknown as BusMessage);
  };
  const half = limits.inboxRequests;
  for (let at = 0; at < half; at++) {
    beat(`n${at}`);
    cluster.write("register", heartbeats.take());
    remove(`n${at}`);
    heartbeats.onRemoved(`n${at}`);
    beat(`stranger-${at}`, "another");
  }
  beat("new");
  expect(heartbeats.take()).toEqual([]);
  expect(heartbeats.strangers()).not.toEqual([]);
  now += 59_000;
  beat("stranger-1", "another");
  now += 1000;
  beat("new");
  expect(heartbeats.take().map(({ name }) => name)).toEqual(["new"]);
  // What speaks is known on.
  expect(heartbeats.strangers()).toEqual(["stranger-1"]);
  expect(context.counters.dropped).toBe(1);
});

it("nothing is kept of the reports of those that were removed", () => {
  const reports = new Reports(context, cluster.state, boots, () => {});
  const report = (node: string, bootId: string): void => {
    const body = { bootId, sequence: 1, logId: cluster.state.logId, pods: [] };
    const reply = `${subjects.node.inbox(node)}1`;
    reports.onMessage({
      subject: subjects.node.report(node),
      reply,
      data: new Uint8Array(),
      json: () => body,
    } as BusMessage);
    reports.take();
  };
  for (const node of ["n1", "n2", "n3"]) {
    cluster.join(node);
    report(node, "first");
    if (node !== "n3") remove(node);
  }
  cluster.join("n1");
  report("n1", "second");
  // To another boot of a node it knew the leader says: say everything again.
  report("n3", "second");
  expect(answers).toEqual([...Array.from({ length: 4 }, () => ({ accepted: 1 })), { accepted: 1, resend: true }]);
});

it("a report that comes late says nothing any more, neither while a later one waits nor while that is being written", () => {
  const reports = new Reports(context, cluster.state, boots, () => {});
  const report = (sequence: number, state: "starting" | "ready"): void => {
    const observed = { reason: "", message: "", restarts: 0 };
    const body = {
      bootId: "b",
      sequence,
      logId: cluster.state.logId,
      pods: cluster.pods().map(({ namespace, name }) => ({ namespace, name, state, observed })),
    };
    reports.onMessage({
      subject: subjects.node.report("n1"),
      reply: `${subjects.node.inbox("n1")}1`,
      data: new Uint8Array(),
      json: () => body,
    } as BusMessage);
  };
  cluster.join("n1");
  cluster.apply(workloadManifest("web", { replicas: 1 }));
  const verbs = (items: readonly EventItem[] = []): string[] => items.map(({ verb }) => verb);
  report(3, "ready");
  report(2, "starting");
  const first = reports.take();
  expect(verbs(first?.items)).toEqual(["ready"]);
  report(1, "starting");
  cluster.write("report", [...(first?.items ?? [])]);
  first?.accept();
  expect(reports.take()).toBeNull();
  expect(answers).toEqual([{ accepted: 3 }, { accepted: 1 }]);
});

it("the agent of one that was removed is told so for as long as it does not register anew", async () => {
  const assigner = new Assigner(context, cluster.state, "term", () => true);
  const removed = async (node: string): Promise<void> => {
    cluster.join(node);
    remove(node);
    assigner.onRemoved(node, cluster.state.sequence);
    await settle();
  };
  const heard = async (node: string): Promise<number> => {
    const before = assigns.length;
    assigner.onHeard(node, { bootId: "b", logId: cluster.state.logId, generation: 1 });
    await settle();
    return assigns.length - before;
  };
  await removed("n1");
  now += limits.removedHoldMs - 1;
  await removed("n2");
  expect(await heard("n1")).toBe(1);
  now += 1;
  await removed("n3");
  expect([await heard("n1"), await heard("n2"), await heard("n3")]).toEqual([0, 1, 1]);
});
