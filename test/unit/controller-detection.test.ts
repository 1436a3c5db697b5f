// How soon a dead node is noticed, by the number of nodes, and what is not taken for one.
import { afterEach, describe, expect, it } from "vitest";
import { limits } from "../../services/bus/limits.ts";
import type { Bus, BusMessage } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { noCounts } from "../../services/controller/counters.ts";
import { snapshotPolicy } from "../../services/controller/snapshot/policy.ts";
import { systemPacking } from "../../services/kernel/node/packing.ts";
import { noSnapshotter } from "../support/snapshots.ts";
import { noMeasures } from "../../services/controller/figures.ts";
import { Liveness } from "../../services/controller/nodes/liveness.ts";
import type { Context } from "../../services/controller/ports.ts";
import { Guard } from "../../services/controller/term/guard.ts";
import { liveness as judge } from "../../services/core/plan/liveness.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { silent } from "../../services/kernel/log.ts";
import { ManualClock } from "../support/agent.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

const tickMs = 50;

/** A fleet whose heartbeats are spread over each second, and a leader that hears them. */
class Fleet {
  readonly clock = new ManualClock();
  readonly cluster: TestCluster;
  readonly dead = new Set<string>();
  /** Node → how long after the start it was called unheard. */
  readonly unheard = new Map<string, number>();
  /** When each pod was given up, likewise. */
  readonly lost: number[] = [];
  looks = 0;
  lookMs = 0;
  /** The server or this controller stands still: what is sent meanwhile comes afterwards. */
  private stalled = false;
  private readonly waiting: string[] = [];
  private readonly liveness: Liveness;
  private readonly guard: Guard;
  private readonly ids: readonly string[];
  private readonly beginning: number;
  private readonly startedAt: number;

  constructor(nodes: number) {
    this.ids = Array.from({ length: nodes }, (_, at) => `n${at}`);
    this.cluster = new TestCluster(Object.fromEntries(this.ids.map((id) => [id, {}])));
    const bus = {
      state: () => "connected",
      onState: () => () => {},
      flush: () => (this.stalled ? Promise.reject(new SwainError("TIMEOUT", "stalled")) : Promise.resolve()),
      request: (subject: string): Promise<BusMessage> =>
        this.dead.has(subject.split(".")[3] ?? "")
          ? new Promise((_, reject) => this.clock.after(600, () => reject(new SwainError("TIMEOUT", "dead"))))
          : Promise.resolve({ json: () => ({}) } as BusMessage),
    };
    const context: Context = {
      clock: this.clock,
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
    this.liveness = new Liveness(context, this.cluster.state, () => this.look());
    this.guard = new Guard(context, {
      onExcuse: (ms) => this.liveness.excuse(ms),
      onSuspect: () => this.guard.clear(),
      isReplicated: () => false,
    });
    this.liveness.start();
    this.guard.start();
    this.beginning = this.clock.mono();
    this.startedAt = this.cluster.now;
  }

  /** As the planner does when something changed, or its time has come. */
  look(): void {
    const { cluster } = this;
    const passed = this.clock.mono() - this.beginning;
    cluster.now = this.startedAt + passed;
    const view = { ...cluster.view(), heardAgoMs: this.liveness.heardAgo() };
    const started = performance.now();
    const { items } = judge(cluster.state, view);
    this.lookMs = Math.max(this.lookMs, performance.now() - started);
    this.looks += 1;
    for (const item of items) {
      if (item.verb === "unknown") this.unheard.set(item.name, passed);
      if (item.verb === "lost") this.lost.push(passed);
    }
    cluster.write("liveness", [...items].slice(0, limits.eventItems));
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += tickMs) {
      await this.clock.advance(tickMs);
      const phase = Math.round(this.clock.mono() - this.beginning) % limits.heartbeatMs;
      const due = this.ids.filter((id, at) => !this.dead.has(id) && (at % 20) * tickMs === phase);
      if (this.stalled) this.waiting.push(...due);
      else this.hear(due);
    }
  }

  private hear(nodes: readonly string[]): void {
    this.guard.look();
    for (const node of nodes) this.liveness.hear(node);
  }

  /** The nats-server stands still and goes on. */
  async stallServer(ms: number): Promise<void> {
    this.stalled = true;
    await this.pass(ms);
    this.stalled = false;
    this.hear(this.waiting.splice(0));
  }

  /** This process stands still: time passes and nothing of it runs, and then its timers come first. */
  async stallController(ms: number): Promise<void> {
    this.clock.jump(ms);
    await this.clock.advance(0);
    this.hear(this.ids.filter((id) => !this.dead.has(id)));
  }

  close(): void {
    this.liveness.stop();
    this.guard.stop();
  }
}

let fleet: Fleet | undefined;
afterEach(() => fleet?.close());

describe("a dead node", () => {
  it("is noticed in less than 5 s, as soon among 5,000 nodes as among 10", async () => {
    const times: number[] = [];
    for (const nodes of [10, 100, 1000, 5000]) {
      fleet = new Fleet(nodes);
      await fleet.pass(2000);
      fleet.dead.add("n7");
      const from = 2000;
      await fleet.pass(6000);
      expect([...fleet.unheard.keys()], `of ${nodes}`).toEqual(["n7"]);
      times.push((fleet.unheard.get("n7") ?? Infinity) - from);
      console.log(`of ${nodes}: noticed after ${times.at(-1)} ms; the longest look took ${fleet.lookMs.toFixed(1)} ms`);
      // A look goes over every node; it must stay far below the time between two sweeps.
      expect(fleet.lookMs).toBeLessThan(125);
      fleet.close();
    }
    expect(Math.max(...times)).toBeLessThan(5000);
    expect(new Set(times).size, times.join()).toBe(1);
  }, 60_000);

  it("is noticed as soon when a rack of 400 goes with it, whenever that is, and pods are held then", async () => {
    for (let from = 2000; from < 3000; from += 150) {
      fleet = new Fleet(1000);
      await fleet.pass(from);
      for (let at = 0; at < 400; at++) fleet.dead.add(`n${at}`);
      await fleet.pass(6500);
      expect(fleet.unheard.size).toBe(400);
      expect(Math.max(...fleet.unheard.values()) - from, `after ${from} ms`).toBeLessThan(5000);
      expect(fleet.cluster.state.nodes.get("n399")).toMatchObject({ state: "unknown", reason: "MASS_LOSS_HELD" });
      fleet.close();
    }
  }, 60_000);
});

describe("nodes that fall silent at one moment", () => {
  const fallSilent = async (lostAfter: string, count: number, from: number): Promise<Fleet> => {
    fleet = new Fleet(20);
    fleet.cluster.apply(workloadManifest("web", { replicas: 20, lostAfter }));
    fleet.cluster.converge();
    await fleet.pass(from);
    for (let at = 0; at < count; at++) fleet.dead.add(`n${2 * at}`);
    for (let passed = 0; passed < 20_000; passed += tickMs) {
      await fleet.pass(tickMs);
      fleet.look();
    }
    return fleet;
  };

  it.each(["1s", "4s", "5s", "6s", "15s"])("lose no pod where they are half, with lostAfter: %s", async (lostAfter) => {
    for (let from = 3000; from < 4000; from += 150) {
      const { lost, unheard, cluster } = await fallSilent(lostAfter, 10, from);
      expect([lost, unheard.size], `after ${from} ms`).toEqual([[], 10]);
      expect(cluster.state.nodes.get("n18")).toMatchObject({ state: "unknown", reason: "MASS_LOSS_HELD" });
      fleet?.close();
    }
  });

  it("lose theirs no later than that where it is but one", async () => {
    const { lost, unheard } = await fallSilent("1s", 1, 3000);
    const [at = 0] = unheard.values();
    expect(lost).toHaveLength(1);
    expect((lost[0] ?? 0) - at).toBeGreaterThanOrEqual(limits.heartbeatMs + limits.silenceLookMs);
    expect((lost[0] ?? 0) - 3000).toBeLessThan(7500);
  });
});

describe("a stall of 2.5 s", () => {
  it("of the server, or of the controller, is no dead node, whenever it comes and however often", async () => {
    fleet = new Fleet(200);
    for (let round = 0; round < 6; round++) {
      await fleet.pass(1000 + round * 150);
      await fleet.stallServer(2500);
      await fleet.pass(1000 + round * 150);
      await fleet.stallController(2500);
    }
    expect([...fleet.unheard.keys()]).toEqual([]);
  }, 60_000);

  it("only puts off that a node is noticed that died meanwhile", async () => {
    fleet = new Fleet(200);
    await fleet.pass(2000);
    fleet.dead.add("n3");
    await fleet.stallController(2500);
    await fleet.pass(6000);
    expect([...fleet.unheard.keys()]).toEqual(["n3"]);
  }, 60_000);
});
