// Services whose endpoints take several keys, from the log over the bucket to the connections of a proxy: whatever is written late, told
// late, doubled or not at all, and wherever leaders end in between.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EventItem, PodReport } from "../../schemas/generated/types.ts";
import { limits } from "../../services/bus/limits.ts";
import { admitScale } from "../../services/core/admit/change.ts";
import { admitReport } from "../../services/core/admit/report.ts";
import { foldRecord } from "../../services/core/fold/fold.ts";
import { type Key, keyOf } from "../../services/core/model.ts";
import { projection, projectionKeys, touchedKeys } from "../../services/core/project.ts";
import { isEndpoint } from "../../services/core/transitions.ts";
import { backendsOf, portsOf } from "../../services/proxy/backends.ts";
import { EndpointTable } from "../../services/proxy/table.ts";
import { serviceManifest, TestCluster, workloadManifest } from "../support/core.ts";

interface Entry {
  readonly key: string;
  readonly value: string | null;
  readonly revision: number;
}

const service = "default/web";
const room = { capacity: { cpuMillis: 1, memoryBytes: 1, pods: 2000 } };

/** A leader that writes the endpoints' bucket, and a proxy that reads it. */
class Shards extends TestCluster {
  private readonly bucket = new Map<string, Entry>();
  private readonly told: Entry[] = [];
  /** Keys that wait to be written, the longest waiting first; there are none before the cluster is made. */
  private readonly waiting: Set<string> | undefined = new Set();
  private readonly table = new EndpointTable();
  private read = 0;
  /** Pods of which the proxy has said that it let go. */
  private readonly letGo: Set<Key> | undefined = new Set();
  isLed = true;
  /** Whether the proxy is told at once what is written, besides by its watch. */
  hints = false;

  override record(event: unknown): string {
    const entry = { sequence: this.state.sequence + 1, event: structuredClone(event) };
    const { outcome, touched, event: folded } = foldRecord(this.state, entry);
    for (const { bucket, key } of touchedKeys(touched)) if (bucket === "endpoints") this.waiting?.add(key);
    for (const item of folded?.items ?? []) if (this.isServed) this.note(item);
    return outcome;
  }

  private note(item: EventItem): void {
    if (item.kind === "pod" && item.verb === "drained" && item.reason === "DRAINED") {
      this.letGo?.add(keyOf(item.namespace, item.name));
    }
  }

  /** One that has not said yet that it serves the service is waited for by nobody. */
  private get isServed(): boolean {
    return this.proxies?.some(({ applied }) => applied.has(service)) ?? false;
  }

  writeSome(count: number): void {
    for (const key of [...(this.waiting ?? [])].slice(0, count)) {
      this.waiting?.delete(key);
      const value = projection(this.state, "endpoints", key);
      if (value === (this.bucket.get(key)?.value ?? null)) continue;
      const entry = { key, value, revision: this.told.length + 1 };
      this.told.push(entry);
      if (value === null) this.bucket.delete(key);
      else this.bucket.set(key, entry);
      if (this.hints) this.take(entry, "hint");
    }
  }

  /** A write that fails is tried again after the others. */
  failOne(): void {
    const [first] = this.waiting ?? [];
    if (first === undefined || this.waiting?.delete(first) !== true) return;
    this.waiting.add(first);
  }

  private take({ key, value, revision }: Entry, source: "watch" | "hint"): void {
    if (value === null) this.table.delete(key, revision, source);
    else this.table.put(key, JSON.parse(value), revision, source);
    const known = this.known();
    for (const pod of this.letGo ?? []) expect(known.has(pod), `${pod} is let go of after ${key}`).toBe(false);
  }

  readSome(count: number): void {
    for (const entry of this.told.slice(this.read, this.read + count)) this.take(entry, "watch");
    this.read = Math.min(this.told.length, this.read + count);
  }

  /** The watch is begun anew: it tells the newest of each key. */
  load(): void {
    for (const entry of [...this.bucket.values()].toSorted((a, b) => a.revision - b.revision))
      this.take(entry, "watch");
    this.read = this.told.length;
    this.table.loaded(new Set(this.bucket.keys()), this.now);
  }

  /** Pods and external endpoints that the proxy sends connections to. */
  known(): Set<Key> {
    const parts = this.table.partsOf(service);
    return new Set(backendsOf(parts, portsOf(parts)[0], "elsewhere").map(({ pod }) => pod));
  }

  beat(): void {
    const applied = new Map(
      [...this.table.services()].map((key) => [key, new Map(Object.entries(this.table.appliedOf(key)))]),
    );
    this.proxies = [{ id: "p1", heardAgoMs: 0, reachableMs: 60_000, whole: true, applied, open: new Map() }];
  }

  /** Another leads, and compares what is there with what should be. */
  lead(): void {
    this.isLed = true;
    this.elect(`c${this.state.sequence}`);
    this.termAgeMs = 5000;
    this.waiting?.clear();
    const keys = [...this.bucket.keys(), ...projectionKeys(this.state, "endpoints")];
    for (const key of keys) {
      if (projection(this.state, "endpoints", key) !== (this.bucket.get(key)?.value ?? null)) this.waiting?.add(key);
    }
  }

  /** What all nodes see of every `nth` pod. */
  reports(nth: number, state: "ready" | "running"): void {
    const items = [...this.state.nodes.keys()].flatMap((node) =>
      admitReport(
        this.state,
        node,
        this.pods().flatMap((pod, at): PodReport[] => {
          if (pod.node !== node || pod.desired === "drain" || at % nth !== 0) return [];
          const addresses = [{ name: "http", host: "10.0.0.1", hostPort: 30_000 + at }];
          const observed = { reason: "", message: "", restarts: 0, addresses };
          const seen = pod.desired === "stop" ? "stopped" : state;
          return [{ namespace: pod.namespace, name: pod.name, state: seen, observed }];
        }),
      ),
    );
    for (let rest = items; rest.length > 0; rest = rest.slice(limits.eventItems)) {
      this.write("report", rest.slice(0, limits.eventItems));
    }
    this.settle();
  }

  scale(replicas: number): void {
    this.write("api", admitScale(this.state, "default", "web", replicas).items);
    this.settle();
  }
}

const sizes = [1, 190, 201, 390, 401, 620];

type Command =
  | { readonly do: "scale" | "ready" | "unready" | "register" | "write" | "read"; readonly n: number }
  | { readonly do: "fail" | "hint" | "hush" | "load" | "beat" | "pass" | "end" | "lead" };

const numbered = (what: "scale" | "ready" | "unready" | "register" | "write" | "read", n: fc.Arbitrary<number>) =>
  fc.record({ do: fc.constant(what), n });
const command: fc.Arbitrary<Command> = fc.oneof(
  numbered("scale", fc.constantFrom(...sizes)),
  numbered("ready", fc.integer({ min: 1, max: 4 })),
  numbered("unready", fc.integer({ min: 5, max: 30 })),
  numbered("register", fc.nat(60)),
  numbered("write", fc.constantFrom(1, 2, 100)),
  numbered("read", fc.constantFrom(1, 3, 100)),
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("fail", "hint", "hush", "load", "beat", "beat", "pass", "pass", "end", "lead"),
    }),
  },
);

/** What needs a leader is left out while there is none. */
const byLeader: ReadonlySet<Command["do"]> = new Set(["scale", "ready", "unready", "register", "write", "pass"]);

function run(cluster: Shards, step: Command): void {
  if (!cluster.isLed && byLeader.has(step.do)) return;
  switch (step.do) {
    case "scale":
      return cluster.scale(step.n);
    case "ready":
      return cluster.reports(step.n, "ready");
    case "unready":
      return cluster.reports(step.n, "running");
    case "register":
      return cluster.register("web", `x${step.n}`, 9000, "10m");
    case "write":
      return cluster.writeSome(step.n);
    case "read":
      return cluster.readSome(step.n);
    case "fail":
      return cluster.failOne();
    case "hint":
    case "hush":
      cluster.hints = step.do === "hint";
      return;
    case "load":
      return cluster.load();
    case "beat":
      return cluster.beat();
    case "pass":
      return cluster.pass(500);
    case "end":
      cluster.isLed = false;
      return;
    case "lead":
      return cluster.lead();
  }
}

describe("endpoints in several keys", () => {
  it("are let go of before their pods stop, and in the end are the pods that are ready", () => {
    fc.assert(
      fc.property(fc.constantFrom(...sizes), fc.array(command, { minLength: 20, maxLength: 60 }), (replicas, steps) => {
        const cluster = new Shards({ n1: room, n2: room });
        cluster.apply(workloadManifest("web", { replicas, drainTimeout: "1s" }), serviceManifest("web"));
        for (const one of steps) run(cluster, one);
        if (!cluster.isLed) cluster.lead();
        for (let round = 0; round < 4; round++) {
          cluster.reports(1, "ready");
          cluster.writeSome(Infinity);
          cluster.load();
          cluster.beat();
          cluster.pass(3000);
        }
        const { state } = cluster;
        const ready = cluster.pods().flatMap((pod) => (isEndpoint(pod) ? [pod.key] : []));
        const external = [...state.external.values()].map(({ namespace, name }) => keyOf(namespace, name));
        expect([...cluster.known()].toSorted()).toEqual([...ready, ...external].toSorted());
        expect(ready).toHaveLength(state.workloads.get(service)?.spec.replicas ?? -1);
        for (const { pods, external: others } of state.services.get(service)?.shards.values() ?? []) {
          expect(pods.size + others.size).toBeLessThanOrEqual(limits.shardEndpoints);
        }
        expect(state.draining.size).toBe(0);
      }),
      { numRuns: 30 },
    );
  });
});
