// The autoscaler's arithmetic: bounds, monotony, rest, windows, steps, and what missing figures may never do.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AutoscaleEvaluation, AutoscalerSpec, WorkloadSpec } from "../../schemas/generated/types.ts";
import { begin, highest, lowest, observe } from "../../services/core/autoscale/history.ts";
import { autoscalerManifest, TestCluster, workloadManifest } from "../support/core.ts";

const nodes = Object.fromEntries(
  ["n1", "n2", "n3", "n4"].map((id) => [id, { capacity: { cpuMillis: 100_000, memoryBytes: 2 ** 40, pods: 250 } }]),
);
type Requests = { readonly cpu?: string; readonly memory?: string };
const requests: Requests = { cpu: "100m", memory: "100M" };
const containersOf = (given: Requests): WorkloadSpec["containers"] => [
  { name: "main", image: "app:1", resources: { requests: given } },
];

interface Use {
  readonly cpuMillis: number;
  readonly memoryBytes?: number;
}

class Scene {
  readonly cluster = new TestCluster(nodes);
  /** Of the pod with that place among the pods; null: no figure. */
  use: (index: number, replicas: number) => Use | null = () => null;

  constructor(replicas: number, spec: Partial<AutoscalerSpec> = {}, given: Requests = requests) {
    this.cluster.apply(workloadManifest("web", { replicas, containers: containersOf(given) }));
    this.cluster.apply(autoscalerManifest("web", { minReplicas: 1, maxReplicas: 100, ...spec }));
    this.settle();
  }

  /** Another template. */
  change(given: Requests): void {
    this.cluster.apply(workloadManifest("web", { containers: containersOf(given) }));
  }

  get replicas(): number {
    return this.cluster.state.workloads.get("default/web")?.spec.replicas ?? -1;
  }

  /** All pods become ready, and so long ago that their figures count. */
  settle(): void {
    this.cluster.converge();
    this.cluster.pass(6000);
  }

  look(): AutoscaleEvaluation {
    const keys = this.cluster.pods().map(({ key }) => key);
    return this.cluster.autoscale("default/web", ({ key }) => {
      const use = this.use(keys.indexOf(key), keys.length);
      return use === null ? null : { memoryBytes: 0, ...use, ageMs: 0 };
    });
  }

  /** Looks every five seconds, as the leader does, while the pods do what they are told. */
  run(ms: number): AutoscaleEvaluation[] {
    const seen: AutoscaleEvaluation[] = [];
    for (const end = this.cluster.now + ms; this.cluster.now < end;) {
      seen.push(this.look());
      this.cluster.converge();
      this.cluster.pass(5000);
    }
    return seen;
  }
}

const at = (cpuMillis: number) => (): Use => ({ cpuMillis });
const fast = { cooldown: "0s", scaleDown: { window: "0s" }, scaleUp: { percent: 10_000 } } as const;
/** A first look begins the history; a second one may act on it. */
function decide(scene: Scene): AutoscaleEvaluation {
  const { use } = scene;
  scene.use = at(50);
  scene.look();
  scene.cluster.pass(1000);
  scene.use = use;
  return scene.look();
}

const count = fc.integer({ min: 1, max: 30 });
const load = fc.option(fc.integer({ min: 0, max: 400 }), { freq: 4 });

describe("an autoscaler", () => {
  it.each([
    // replicas, use of each pod's request of 100m, replicas after; 50 % is wanted
    ["doubles at twice the wanted use", 4, 100, 8],
    ["halves at half of it", 4, 25, 2],
    ["rounds up", 3, 60, 4],
    ["leaves it within the tolerance of 10 %", 10, 55, 10],
    ["acts just beyond the tolerance", 10, 56, 12],
    ["never goes to 0", 4, 0, 1],
  ])("%s", (_what, replicas, cpuMillis, after) => {
    const scene = new Scene(replicas, fast);
    scene.use = at(cpuMillis);
    decide(scene);
    expect(scene.replicas).toBe(after);
  });

  it.each([
    // replicas, use of each pod's request of 100m, 70 % is wanted, the end of the sentence
    ["one fewer would be above what is wanted", 3, 59, "70 % is wanted, and with 2 replicas it would be at 89 %."],
    ["there is but one", 1, 20, "70 % is wanted, and there is no fewer than 1 replica."],
    ["use is within the tolerance", 3, 64, "CPU is at 64 % of its request over 3 pods, 70 % is wanted."],
  ])("says why it keeps the count where %s", (_what, replicas, cpuMillis, end) => {
    const scene = new Scene(replicas, { ...fast, cpu: 70 });
    scene.use = at(cpuMillis);
    const { reason, message } = decide(scene);
    expect([reason, message]).toEqual(["ON_TARGET", expect.stringContaining(end)]);
  });

  it("says that a pod without figures keeps its place", () => {
    const scene = new Scene(3, { ...fast, cpu: 70 });
    scene.use = (index) => (index === 0 ? null : { cpuMillis: 50 });
    const { reason, message } = decide(scene);
    expect([reason, message]).toEqual(["ON_TARGET", expect.stringMatching(/without figures\).* taken for busy\.$/)]);
  });

  it("stays within its bounds, whatever it sees", () => {
    fc.assert(
      fc.property(count, fc.integer({ min: 1, max: 10 }), fc.nat(20), fc.array(load, { minLength: 1 }), (...drawn) => {
        const [replicas, minReplicas, span, loads] = drawn;
        const scene = new Scene(replicas, { ...fast, minReplicas, maxReplicas: minReplicas + span });
        scene.use = (index) =>
          ((cpuMillis) => (cpuMillis === null ? null : { cpuMillis }))(loads[index % loads.length] ?? null);
        for (let round = 0; round < 3; round++) {
          scene.look();
          expect(scene.replicas).toBeGreaterThanOrEqual(minReplicas);
          expect(scene.replicas).toBeLessThanOrEqual(minReplicas + span);
          scene.settle();
        }
      }),
      { numRuns: 40 },
    );
  });

  it("asks for no fewer replicas when a pod uses more", () => {
    fc.assert(
      fc.property(fc.array(load, { minLength: 1, maxLength: 12 }), fc.nat(11), fc.nat(300), (loads, pick, more) => {
        const asked = (values: readonly (number | null)[]): number => {
          const scene = new Scene(values.length);
          scene.use = (index) => ((cpuMillis) => (cpuMillis === null ? null : { cpuMillis }))(values[index] ?? null);
          return scene.look().recommended ?? -1;
        };
        const at = pick % loads.length;
        const busier = loads.map((value, index) => (index === at && value !== null ? value + more : value));
        expect(asked(busier)).toBeGreaterThanOrEqual(asked(loads));
      }),
      { numRuns: 60 },
    );
  });

  it("never scales down for want of figures: a pod without one keeps its place", () => {
    fc.assert(
      fc.property(fc.array(load, { minLength: 1, maxLength: 20 }), (loads) => {
        const scene = new Scene(loads.length, fast);
        scene.use = (index) => ((cpuMillis) => (cpuMillis === null ? null : { cpuMillis }))(loads[index] ?? null);
        const missing = loads.filter((value) => value === null).length;
        const { metrics } = decide(scene);
        expect(metrics[0]).toMatchObject({ missing, pods: loads.length - missing });
        expect(scene.replicas).toBeGreaterThanOrEqual(missing);
        // What is known of the others never points down by what is unknown.
        const known = loads.flatMap((value) => value ?? []);
        const mean = known.reduce((sum, value) => sum + value, 0) / Math.max(1, known.length);
        if (mean >= 50) expect(scene.replicas).toBeGreaterThanOrEqual(loads.length);
        else expect(scene.replicas).toBeLessThanOrEqual(loads.length);
        if (missing === loads.length) expect(scene.replicas).toBe(loads.length);
      }),
      { numRuns: 60 },
    );
  });

  it("takes a pod without a figure for busy on the way down and for idle on the way up", () => {
    const down = new Scene(10, fast);
    // Nine idle pods and one unknown: by the figures alone one pod would do, the unknown may need two at 50 %.
    down.use = (index) => (index === 0 ? null : { cpuMillis: 0 });
    decide(down);
    expect(down.replicas).toBe(2);
    const up = new Scene(10, fast);
    // By the figures of half of the pods it would be 26; as idle, the others take half of it.
    up.use = (index) => (index < 5 ? null : { cpuMillis: 130 });
    decide(up);
    expect(up.replicas).toBe(13);
  });

  it("counts pods that are not ready, or only just, like pods without figures", () => {
    const scene = new Scene(4, fast);
    scene.cluster.write("api", [{ kind: "workload", verb: "scaled", namespace: "default", name: "web", replicas: 8 }]);
    scene.cluster.settle();
    scene.use = at(100);
    expect(scene.look().metrics[0]).toMatchObject({ pods: 4, notReady: 4, recommended: 8 });
    scene.cluster.converge();
    expect(scene.look().metrics[0]).toMatchObject({ pods: 4, notReady: 4 });
    scene.cluster.pass(6000);
    expect(scene.look().metrics[0]).toMatchObject({ pods: 8, notReady: 0, recommended: 16 });
  });

  it("takes pods whose template requested nothing for pods without figures while a change that adds a request goes on", () => {
    const scene = new Scene(4, fast, {});
    scene.use = at(50);
    expect(scene.look()).toMatchObject({ desired: 4, reason: "NO_REQUEST" });
    scene.change({ cpu: "100m" });
    for (let seconds = 0; seconds < 60; seconds++) {
      scene.cluster.obey();
      scene.cluster.pass(1000);
      const { desired, message } = scene.look();
      expect(desired, message).toBe(4);
    }
    expect(scene.look()).toMatchObject({ reason: "ON_TARGET", metrics: [{ pods: 4, percent: 50 }] });
  });

  it("takes the metric that asks for most, and goes not below when one of them is blind", () => {
    const both = new Scene(4, { ...fast, memory: 50 });
    both.use = () => ({ cpuMillis: 10, memoryBytes: 100e6 });
    decide(both);
    expect(both.replicas).toBe(8);
    const blind = new TestCluster(nodes);
    const containers = [{ name: "main", image: "app:1", resources: { requests: { cpu: "100m" } } }];
    blind.apply(workloadManifest("web", { replicas: 4, containers }));
    blind.apply(autoscalerManifest("web", { ...fast, minReplicas: 1, memory: 50 }));
    blind.converge();
    blind.pass(6000);
    for (const cpuMillis of [0, 0]) {
      const evaluation = blind.autoscale("default/web", () => ({ cpuMillis, memoryBytes: 1e9, ageMs: 0 }));
      expect(evaluation).toMatchObject({ replicas: 4, desired: 4, reason: "NO_REQUEST" });
    }
  });

  it("comes to rest at a constant load, however that falls to the pods' number", () => {
    fc.assert(
      fc.property(
        count,
        fc.integer({ min: 0, max: 3000 }),
        fc.integer({ min: 20, max: 90 }),
        (replicas, total, cpu) => {
          const scene = new Scene(replicas, { ...fast, cpu });
          scene.use = (_index, pods) => ({ cpuMillis: Math.round(total / pods) });
          scene.run(60_000);
          const { replicas: rest } = scene;
          expect(scene.run(60_000).map(({ desired }) => desired)).toEqual(Array.from({ length: 12 }, () => rest));
        },
      ),
      { numRuns: 15 },
    );
  });
});

describe("its patience", () => {
  it("does nothing in the cooldown and says how long it lasts, whoever changed the count", () => {
    const scene = new Scene(2, { cooldown: "60s" });
    scene.use = at(100);
    scene.look();
    expect(scene.replicas).toBe(4);
    scene.settle();
    expect(scene.look()).toMatchObject({ reason: "COOLDOWN", desired: 4, recommended: 8 });
    const changes = scene.run(170_000).filter(({ desired, replicas }) => desired !== replicas);
    expect(changes.map(({ desired }) => desired)).toEqual([8, 16]);
    const { length } = scene.cluster.log;
    expect(() =>
      scene.cluster.write("autoscale", [
        {
          kind: "autoscaler",
          verb: "scaled",
          namespace: "default",
          name: "web",
          workload: "web",
          from: scene.replicas,
          replicas: 1,
          reason: "BELOW_TARGET",
          message: "",
          metrics: [],
        },
      ]),
    ).toThrow(/IN_COOLDOWN.*MISSING_METRICS.*SCALED_NOTHING/);
    expect(scene.cluster.log).toHaveLength(length);
  });

  it("goes down only to the most that was asked for in the window, and after a takeover waits for a whole one", () => {
    const scene = new Scene(8, { cooldown: "0s", scaleDown: { window: "2m" } });
    scene.use = at(40);
    scene.run(30_000);
    scene.use = at(10);
    expect(scene.run(80_000).every(({ desired, reason }) => desired === 8 && reason === "STABILISING")).toBe(true);
    scene.run(20_000);
    expect(scene.replicas).toBe(7);
    scene.cluster.elect("c2");
    scene.cluster.forgetHistories();
    expect(scene.run(110_000).every(({ desired }) => desired === 7)).toBe(true);
    scene.run(20_000);
    expect(scene.replicas).toBe(2);
  });

  it("waits with scaling up when a window asks for it", () => {
    const scene = new Scene(2, { cooldown: "0s", scaleUp: { window: "30s" } });
    scene.use = at(200);
    expect(scene.run(25_000).every(({ desired, reason }) => desired === 2 && reason === "STABILISING")).toBe(true);
    scene.run(15_000);
    expect(scene.replicas).toBeGreaterThan(2);
  });

  it.each([
    ["doubles at most, or adds 4 pods, when nothing is said", 3, 1000, undefined, 7],
    ["doubles where that is more", 10, 1000, undefined, 20],
    ["adds what is allowed", 10, 1000, { pods: 2 }, 12],
    ["adds the share that is allowed, at least one pod", 3, 1000, { percent: 10 }, 4],
    ["removes what is allowed", 10, 0, { pods: 3, window: "0s" }, 7],
    ["removes the share that is allowed, at least one pod", 5, 0, { percent: 10, window: "0s" }, 4],
  ])("in one step %s", (_what, replicas, cpuMillis, step, after) => {
    const steps = step === undefined ? {} : cpuMillis === 0 ? { scaleDown: step } : { scaleUp: step };
    const scene = new Scene(replicas, { cooldown: "0s", ...steps });
    scene.use = at(cpuMillis);
    decide(scene);
    expect(scene.replicas).toBe(after);
  });

  it("brings a count outside its bounds back at once, leaves 0 alone, and survives a leader whose clock ran ahead", () => {
    const scene = new Scene(5, { minReplicas: 2, maxReplicas: 6 });
    const scale = (replicas: number): void =>
      scene.cluster.write("api", [{ kind: "workload", verb: "scaled", namespace: "default", name: "web", replicas }]);
    scale(20);
    expect(scene.look()).toMatchObject({ desired: 6, reason: "OUTSIDE_BOUNDS" });
    expect(scene.replicas).toBe(6);
    scale(1);
    scene.look();
    expect(scene.replicas).toBe(2);
    scale(0);
    expect(scene.look()).toMatchObject({ replicas: 0, reason: "SCALED_TO_ZERO" });
    expect(scene.replicas).toBe(0);
    scale(2);
    scene.settle();
    scene.use = at(100);
    scene.cluster.now -= 900_000;
    scene.cluster.termAgeMs = 1000;
    expect(scene.look().reason).toBe("METRICS_MISSING");
    scene.cluster.termAgeMs = 30_000;
    expect(scene.look()).toMatchObject({ reason: "COOLDOWN", recommended: 4 });
    scene.cluster.termAgeMs = 61_000;
    scene.look();
    expect(scene.replicas).toBe(4);
  });
});

describe("a history", () => {
  it("forgets nothing within its window, keeps little, and begins with the replicas there were", () => {
    const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 60_000 }), fc.integer({ min: 1, max: 100 })), {
      maxLength: 400,
    });
    fc.assert(
      fc.property(
        steps,
        fc.constantFrom(0, 30_000, 300_000),
        fc.integer({ min: 1, max: 100 }),
        (drawn, windowMs, first) => {
          let now = 1_000_000;
          let history = begin(first, now);
          const all: [number, number][] = [[now, first]];
          for (const [ms, value] of drawn) {
            now += ms;
            all.push([now, value]);
            history = observe(history, value, now, windowMs);
            const inside = all.filter(([time]) => time >= now - windowMs).map(([, seen]) => seen);
            expect(highest(history, value, now, windowMs)).toBeGreaterThanOrEqual(Math.max(...inside));
            expect(lowest(history, value, now, windowMs)).toBeLessThanOrEqual(Math.min(...inside));
            // A part that is left may be older by its own length.
            const near = all.filter(([time]) => time >= now - windowMs * 1.02 - 1).map(([, seen]) => seen);
            expect(highest(history, value, now, windowMs)).toBeLessThanOrEqual(Math.max(...near));
            expect(history.length).toBeLessThanOrEqual(102);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("what it says", () => {
  const words = (replicas: number, spec: Partial<AutoscalerSpec>, use: Use): string => {
    const scene = new Scene(replicas, spec);
    scene.use = () => use;
    const { reason, message } = scene.look();
    return `${reason}: ${message}`;
  };

  it("begins with the metric that decided", () => {
    const both = { cpu: 50, memory: 50 };
    const memory = words(2, both, { cpuMillis: 0, memoryBytes: 138e6 });
    expect(memory).toMatch(/^ABOVE_TARGET: memory is at 138 % .*; CPU is at 0 % /);
    const cpu = words(2, both, { cpuMillis: 138, memoryBytes: 0 });
    expect(cpu).toMatch(/^ABOVE_TARGET: CPU is at 138 % .*; memory is at 0 % /);
    expect(words(9, both, { cpuMillis: 0, memoryBytes: 20e6 })).toMatch(/ replicas are asked .* memory is .*; CPU is /);
  });

  it("counts one replica as one", () => {
    const busy = { cpuMillis: 300 };
    expect(words(1, { minReplicas: 2 }, busy)).toMatch(/^OUTSIDE_BOUNDS: 1 replica is not within 2 to 100/);
    expect(words(1, { maxReplicas: 1 }, busy)).toMatch(/^AT_MAXIMUM: \d replicas are asked for, 1 is allowed/);
    expect(words(3, {}, { cpuMillis: 0 })).toMatch(/^STABILISING: 1 replica is asked for now, more were/);
  });
});
