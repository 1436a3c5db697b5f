// What the leader knows of its nodes and tells them, against a bus that answers as told.
import { beforeEach, describe, expect, it } from "vitest";
import type { Assign } from "../../schemas/generated/types.ts";
import { limits } from "../../services/bus/limits.ts";
import type { Bus, BusMessage, BusState } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { Assigner } from "../../services/controller/assign/assigner.ts";
import { noCounts } from "../../services/controller/counters.ts";
import { noMeasures } from "../../services/controller/figures.ts";
import { admitRemoval } from "../../services/core/admit/node.ts";
import { Boots } from "../../services/controller/nodes/boots.ts";
import { Heartbeats } from "../../services/controller/nodes/heartbeats.ts";
import { Liveness } from "../../services/controller/nodes/liveness.ts";
import type { Context } from "../../services/controller/ports.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { snapshotPolicy } from "../../services/controller/snapshot/policy.ts";
import { systemPacking } from "../../services/kernel/node/packing.ts";
import { silent } from "../../services/kernel/log.ts";
import { noSnapshotter } from "../support/snapshots.ts";
import { ManualClock, settle } from "../support/agent.ts";
import { facts, TestCluster, workloadManifest } from "../support/core.ts";

class FakeBus {
  readonly sent: { subject: string; value: unknown }[] = [];
  answer: (subject: string, value: unknown) => Promise<unknown> = () =>
    Promise.reject(new SwainError("NO_LEADER", "nobody listens"));
  flushes = true;
  current: BusState = "connected";
  private readonly listeners = new Set<(state: BusState) => void>();

  state(): BusState {
    return this.current;
  }

  onState(fn: (state: BusState) => void): () => void {
    this.listeners.add(fn);
    return () => this.listeners.delete(fn);
  }

  enter(state: BusState): void {
    this.current = state;
    for (const fn of this.listeners) fn(state);
  }

  async request(subject: string, value: unknown): Promise<BusMessage> {
    this.sent.push({ subject, value });
    const answer = await this.answer(subject, value);
    return { json: () => answer } as unknown as BusMessage;
  }

  async flush(): Promise<void> {
    if (!this.flushes) throw new SwainError("TIMEOUT", "as told");
  }
}

let bus: FakeBus;
let clock: ManualClock;
let context: Context;
let cluster: TestCluster;

beforeEach(() => {
  bus = new FakeBus();
  clock = new ManualClock();
  cluster = new TestCluster({ n1: {}, n2: {}, n3: {} });
  context = {
    clock,
    ids: { next: () => "id" },
    random: { next: () => 0 },
    bus: bus as unknown as Bus,
    log: silent,
    cluster: "test",
    id: "c1",
    subjects: subjectsOf("test"),
    counters: noCounts(),
    measures: noMeasures(),
    packing: systemPacking,
    snapshotter: noSnapshotter,
    policy: snapshotPolicy,
  };
});

function heartbeatOf(node: string, body: object): BusMessage {
  const { length } = new TextEncoder().encode(JSON.stringify(body));
  const subject = context.subjects.node.heartbeat(node);
  return { subject, isOver: (bytes: number) => length > bytes, json: () => body } as unknown as BusMessage;
}

describe("liveness", () => {
  let changes: number;
  let liveness: Liveness;
  const silence = (node: string): number => liveness.heardAgo().get(node) ?? -1;

  beforeEach(() => {
    changes = 0;
    liveness = new Liveness(context, cluster.state, () => changes++);
    liveness.start();
  });

  it("calls a node unheard only when flush and ping confirm it", async () => {
    bus.answer = async (subject) => {
      if (subject.includes(".n1.")) throw new SwainError("TIMEOUT", "silent");
      return {};
    };
    await clock.advance(limits.nodeUnheardMs - 300);
    expect(bus.sent).toEqual([]);
    await clock.advance(1000);
    expect(silence("n1")).toBeGreaterThanOrEqual(limits.nodeUnheardMs);
    expect(silence("n2")).toBeLessThan(limits.nodeUnheardMs);
    expect(changes).toBe(1);
    liveness.hear("n1");
    expect(silence("n1")).toBe(0);
    expect(changes).toBe(2);
  });

  it("takes no answer of an agent that follows another log for a word of its node", async () => {
    const { logId } = cluster.state;
    cluster.restore("log2");
    const logs: Record<string, string> = { n1: "another", n2: logId, n3: "" };
    bus.answer = async (subject) => ({ logId: logs[subject.split(".")[3] ?? ""], held: 0 });
    await clock.advance(limits.nodeUnheardMs + 1000);
    expect(["n1", "n2", "n3"].filter((node) => silence(node) >= limits.nodeUnheardMs)).toEqual(["n1"]);
    expect(changes).toBe(1);
  });

  it("blames nobody while the server does not answer", async () => {
    bus.flushes = false;
    await clock.advance(10 * limits.nodeUnheardMs);
    expect(silence("n1")).toBeLessThan(limits.nodeUnheardMs);
    expect(bus.sent).toEqual([]);
  });

  it("takes own stalls off", async () => {
    liveness.hear("n1");
    await clock.advance(3000);
    liveness.excuse(2500);
    expect(silence("n1")).toBe(500);
  });

  it("leaves a node that was unknown before this term as it is until it speaks", () => {
    const node = cluster.state.nodes.get("n1");
    if (node !== undefined) node.state = "unknown";
    const fresh = new Liveness(context, cluster.state, () => changes++);
    expect(fresh.heardAgo().get("n1")).toBeGreaterThanOrEqual(limits.nodeUnheardMs);
    expect(fresh.heardAgo().get("n2")).toBe(0);
    fresh.hear("n1");
    expect(fresh.heardAgo().get("n1")).toBe(0);
    expect(changes).toBe(1);
  });
});

describe("heartbeats", () => {
  it("register a new node once, and count on no agent that follows another log", () => {
    const heard: string[] = [];
    let news = 0;
    const heartbeats = new Heartbeats(context, cluster.state, new Boots(context), {
      onHeard: (node) => heard.push(node),
      onBack: () => {},
      onFacts: () => {},
      onTrouble: () => (news += 1),
    });
    const beat = (node: string, logId: string): void => {
      const body = { bootId: "b", logId, generation: 0, facts: facts({ hostname: node }) };
      heartbeats.onMessage(heartbeatOf(node, body));
    };
    beat("n9", "");
    beat("n9", "");
    beat("n8", "another");
    beat("n8", "another");
    expect(heard).toEqual(["n9", "n9"]);
    expect(heartbeats.strangers()).toEqual(["n8"]);
    expect([news, heartbeats.troubles().get("n8")?.reason]).toEqual([1, "LOG_UNKNOWN"]);
    expect(heartbeats.take().map(({ name }) => name)).toEqual(["n9"]);
    expect(heartbeats.hasFacts).toBe(false);
    beat("n8", cluster.state.logId);
    expect(heartbeats.strangers()).toEqual([]);
    expect([news, heartbeats.troubles().get("n8")]).toEqual([1, null]);
    expect(heard).toContain("n8");
    beat("n7", `l${" ".repeat(limits.heartbeatBytes)}`);
    expect([heard.includes("n7"), context.counters.dropped]).toEqual([false, 1]);
  });
});

describe("heartbeats of a removed node", () => {
  it("register it anew when its time is over, and at once when another agent starts", async () => {
    const heartbeats = new Heartbeats(context, cluster.state, new Boots(context), {
      onHeard: () => {},
      onBack: () => {},
      onFacts: () => {},
      onTrouble: () => {},
    });
    const beat = (bootId: string): string[] => {
      const body = { bootId, logId: cluster.state.logId, generation: 0, facts: facts({ hostname: "n9" }) };
      heartbeats.onMessage(heartbeatOf("n9", body));
      return heartbeats.take().map(({ name }) => name);
    };
    expect(beat("first")).toEqual(["n9"]);
    heartbeats.onRemoved("n9");
    expect(beat("first")).toEqual([]);
    await clock.advance(limits.removedHoldMs - 1);
    expect(beat("first")).toEqual([]);
    await clock.advance(1);
    expect(beat("first")).toEqual(["n9"]);
    heartbeats.onRemoved("n9");
    expect(beat("first")).toEqual([]);
    expect(beat("second")).toEqual(["n9"]);
  });
});

describe("the trouble in heartbeats", () => {
  it("is news when it differs from the state's, and is cut", () => {
    let news = 0;
    const heartbeats = new Heartbeats(context, cluster.state, new Boots(context), {
      onHeard: () => {},
      onBack: () => {},
      onFacts: () => {},
      onTrouble: () => (news += 1),
    });
    const beat = (trouble?: object): void => {
      const body = { bootId: "b", logId: cluster.state.logId, generation: 0, facts: facts(), ...trouble };
      heartbeats.onMessage(heartbeatOf("n1", body));
    };
    beat();
    expect([news, heartbeats.troubles().get("n1")]).toEqual([0, null]);
    beat({ trouble: { reason: "ENGINE_UNREACHABLE", message: "x".repeat(10_000) } });
    expect([news, heartbeats.troubles().get("n1")?.message.length]).toEqual([1, 500]);
    beat();
    expect([news, heartbeats.troubles().get("n1")]).toEqual([1, null]);
  });
});

describe("the assigner", () => {
  let assigner: Assigner;
  let held: number;
  /** What the agent holds after it has registered. */
  let registered: number;
  const assigns = (): Assign[] => bus.sent.map(({ value }) => value as Assign);
  const generation = (): number => cluster.state.nodes.get("n1")?.assignment ?? -1;

  /** Changes what n1 should run, and tells the assigner. */
  const change = async (name: string): Promise<void> => {
    const before = new Set(cluster.state.nodes.get("n1")?.pods);
    cluster.apply(workloadManifest(name, { replicas: 3 }));
    cluster.settle();
    const after = cluster.state.nodes.get("n1")?.pods ?? new Set();
    assigner.onTouched(new Map([["n1", new Set([...after].filter((pod) => !before.has(pod)))]]));
    await settle();
  };

  beforeEach(() => {
    registered = generation();
    held = registered;
    assigner = new Assigner(context, cluster.state, "own", () => true);
    bus.answer = async (_subject, value) => {
      const assign = value as Assign;
      if (assign.base === held) held = assign.generation;
      return { logId: assign.logId, held };
    };
  });

  it("sends only what changed since what the agent holds", async () => {
    assigner.onHeard("n1", { bootId: "b", logId: cluster.state.logId, generation: registered });
    await change("one");
    await change("two");
    const [first, second] = assigns();
    expect(first).toMatchObject({ base: registered, generation: first?.generation });
    expect(second).toMatchObject({ base: first?.generation, generation: generation() });
    expect(second?.items.map(({ workload }) => workload)).toEqual(["two"]);
    expect(held).toBe(generation());
  });

  it("sends a hint without items, never an empty whole, to an agent whose base it does not know", async () => {
    held = 77;
    await change("one");
    expect(assigns()).toMatchObject([{ base: generation(), generation: generation(), items: [], gone: [] }]);
  });

  it("sends again, with everything since the same base, when a heartbeat shows that the command was lost", async () => {
    assigner.onHeard("n1", { bootId: "b", logId: cluster.state.logId, generation: registered });
    const obey = bus.answer;
    bus.answer = () => Promise.reject(new SwainError("TIMEOUT", "lost"));
    await change("one");
    expect(bus.sent).toHaveLength(1);
    bus.answer = obey;
    assigner.onHeard("n1", { bootId: "b", logId: cluster.state.logId, generation: registered });
    await settle();
    expect(bus.sent).toHaveLength(2);
    expect(assigns()[1]).toEqual(assigns()[0]);
    expect(held).toBe(generation());
  });

  it("makes an agent pull that holds the same number of an event which the log has lost", async () => {
    const { logId } = cluster.state;
    cluster.elect("c2");
    cluster.elect("c3");
    cluster.apply(workloadManifest("web", { replicas: 1 }));
    held = generation();
    for (const epoch of [undefined, cluster.state.epoch, cluster.state.epoch - 1]) {
      const heard = { bootId: "b", logId, generation: held };
      assigner.onHeard("n1", epoch === undefined ? heard : { ...heard, epoch });
      await settle();
      expect(assigns()).toHaveLength(epoch === cluster.state.epoch - 1 ? 1 : 0);
    }
    expect(assigns()[0]).toMatchObject({ base: held, generation: held, items: [] });
  });

  it("makes an agent pull that holds the same numbers of another leader, elected where this one was", async () => {
    const { logId, epoch } = cluster.state;
    for (const term of ["own", "", "other"]) {
      assigner.onHeard("n1", { bootId: "b", logId, epoch, term, generation: held });
      await settle();
      expect(assigns(), term).toHaveLength(term === "other" ? 1 : 0);
    }
    expect(assigns()[0]).toMatchObject({ base: held, generation: held, term: "own", items: [] });
  });

  it("makes an agent that forgot everything pull, and goes on from there", async () => {
    assigner.onHeard("n1", { bootId: "b", logId: cluster.state.logId, generation: registered });
    await change("one");
    assigner.onHeard("n1", { bootId: "c", logId: "", generation: 0 });
    await settle();
    expect(assigns()[1]).toMatchObject({ base: generation(), generation: generation(), items: [] });
    assigner.onHeard("n1", { bootId: "c", logId: cluster.state.logId, generation: generation() });
    held = generation();
    await change("two");
    expect(assigns()[2]?.items.map(({ workload }) => workload)).toEqual(["two"]);
  });

  it("keeps one command in flight per node and forgets nothing that comes meanwhile", async () => {
    assigner.onHeard("n1", { bootId: "b", logId: cluster.state.logId, generation: registered });
    const obey = bus.answer;
    const release: (() => void)[] = [];
    bus.answer = async (subject, value) => {
      await new Promise<void>((resolve) => release.push(resolve));
      return obey(subject, value);
    };
    await change("one");
    await change("two");
    await change("three");
    expect(bus.sent).toHaveLength(1);
    release.shift()?.();
    await settle();
    expect(bus.sent).toHaveLength(2);
    expect(
      assigns()[1]
        ?.items.map(({ workload }) => workload)
        .toSorted(),
    ).toEqual(["three", "two"]);
    release.shift()?.();
    await settle();
    expect(held).toBe(generation());
  });

  it("tells the agent of a removed node to run nothing, until that is held", async () => {
    await change("one");
    bus.sent.length = 0;
    cluster.write("remove", admitRemoval(cluster.state, "n1", true).items);
    const { sequence, logId, epoch } = cluster.state;
    const obey = bus.answer;
    bus.answer = () => Promise.reject(new SwainError("TIMEOUT", "lost"));
    assigner.onRemoved("n1", sequence);
    await settle();
    bus.answer = obey;
    assigner.onHeard("n1", { bootId: "b", logId, generation: held });
    await settle();
    const farewell = { base: 0, generation: sequence, items: [], gone: [] };
    expect(assigns()).toMatchObject([farewell, farewell]);
    // Of an end that the log lost: the number means nothing.
    bus.answer = () => Promise.reject(new SwainError("TIMEOUT", "lost"));
    assigner.onRemoved("n1", sequence);
    await settle();
    bus.answer = obey;
    assigner.onHeard("n1", { bootId: "b", logId, epoch: epoch - 1, generation: sequence + 20 });
    await settle();
    expect(assigns()).toMatchObject([farewell, farewell, farewell, farewell]);
    assigner.onHeard("n1", { bootId: "b", logId, generation: sequence });
    await settle();
    expect(bus.sent).toHaveLength(4);
  });

  it("asks the older of two agents for every state once it speaks again, until that has heard of it", async () => {
    const boots = new Boots(context);
    const heartbeats = new Heartbeats(context, cluster.state, boots, {
      onHeard: (node, heard) => assigner.onHeard(node, heard),
      onBack: (node) => assigner.askAnew(node, () => boots.onAsked(node)),
      onFacts: () => {},
      onTrouble: () => {},
    });
    const { logId } = cluster.state;
    const beat = async (bootId: string): Promise<void> => {
      const body = { bootId, logId, generation: registered, facts: facts() };
      heartbeats.onMessage(heartbeatOf("n1", body));
      await settle();
    };
    for (const bootId of ["first", "second", "first", "second"]) await beat(bootId);
    expect(assigns()).toEqual([]);
    await clock.advance(4000);
    const { answer } = bus;
    bus.answer = () => Promise.reject(new SwainError("TIMEOUT", "nobody answers"));
    await beat("first");
    bus.answer = answer;
    for (let times = 0; times < 3; times += 1) await beat("first");
    const asked = { generation: registered, base: registered, items: [], resend: true };
    expect(assigns()).toEqual([expect.objectContaining(asked), expect.objectContaining(asked)]);
  });

  it("says nothing to an agent that follows another log", async () => {
    await change("one");
    bus.sent.length = 0;
    assigner.onHeard("n1", { bootId: "b", logId: "another", generation: 3 });
    await settle();
    expect(bus.sent).toEqual([]);
  });
});
