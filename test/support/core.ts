// A cluster in memory for tests of the core: folds its own events, plays agents, and holds every plan against the checker.
import type {
  AutoscaleEvaluation,
  AutoscalerSpec,
  Event,
  EventItem,
  NodeFacts,
  ObservedState,
  Trouble,
  WorkloadSpec,
} from "../../schemas/generated/types.ts";
import { admitApply, type Admitted } from "../../services/core/admit/apply.ts";
import { admitRegister } from "../../services/core/admit/endpoint.ts";
import { admitFacts } from "../../services/core/admit/node.ts";
import { admitReport } from "../../services/core/admit/report.ts";
import { evaluate } from "../../services/core/autoscale/evaluate.ts";
import type { History } from "../../services/core/autoscale/history.ts";
import { scaleItems } from "../../services/core/autoscale/items.ts";
import type { UseOf } from "../../services/core/autoscale/metric.ts";
import { check } from "../../services/core/check.ts";
import { emptyState, foldRecord } from "../../services/core/fold/fold.ts";
import type { Key, PodRecord, State } from "../../services/core/model.ts";
import { plan } from "../../services/core/plan/plan.ts";
import { mustShow } from "../../services/core/readiness.ts";
import type { ProxyView, View } from "../../services/core/view.ts";

export const facts = (over: Partial<NodeFacts> = {}): NodeFacts => ({
  hostname: "h",
  host: "h1",
  advertise: "127.0.0.1",
  runtime: "sim",
  engine: "sim",
  capacity: { cpuMillis: 4000, memoryBytes: 8 * 1024 ** 3, pods: 250 },
  fencing: true,
  labels: {},
  version: "0",
  arch: "x64",
  os: "linux",
  ...over,
});

export const workloadManifest = (name: string, spec: Partial<WorkloadSpec> = {}): unknown => ({
  apiVersion: "swain/v1",
  kind: "Workload",
  metadata: { name },
  spec: {
    containers: [{ name: "main", image: "app:1", ports: [{ name: "http", containerPort: 80 }] }],
    ...spec,
  },
});

export const serviceManifest = (name: string, workload = name): unknown => ({
  apiVersion: "swain/v1",
  kind: "Service",
  metadata: { name },
  spec: { selector: { workload }, ports: [{ port: 8080, targetPort: "http" }] },
});

export const autoscalerManifest = (name: string, spec: Partial<AutoscalerSpec> = {}): unknown => ({
  apiVersion: "swain/v1",
  kind: "Autoscaler",
  metadata: { name },
  spec: { workload: name, minReplicas: 2, maxReplicas: 10, cpu: 50, ...spec },
});

export class TestCluster {
  readonly state: State = emptyState();
  /** Every record written, foreign ones included, as the log would hold them. */
  readonly log: { sequence: number; event: unknown }[] = [];
  /** Keys of the endpoints bucket, in the order in which they changed. */
  readonly touched = { endpoints: new Set<string>() };
  now = 1_000_000;
  termAgeMs = 60_000;
  /** The last event before this term, and how long before it that was folded by who leads now. */
  beforeTime = 0;
  silentMs = 0;
  proxies: ProxyView[] = [];
  /** Service whose endpoints were written late → milliseconds since then. */
  readonly writtenAgoMs = new Map<Key, number>();
  /** Event that came late → milliseconds since it came. */
  readonly lateAgoMs = new Map<number, number>();
  logReplicated = false;
  isDeaf = false;
  /** Node → when it was last heard. */
  readonly heardAt = new Map<string, number>();
  /** External endpoint → when it was last renewed. */
  readonly renewedAt = new Map<string, number>();
  /** Node → what its agent says it suffers from. */
  readonly troubles = new Map<string, Trouble>();
  /** Nodes that do not speak at the moment. */
  readonly silent = new Set<string>();

  constructor(nodes: Record<string, Partial<NodeFacts>> = {}) {
    this.elect("c1");
    for (const [id, over] of Object.entries(nodes)) this.join(id, over);
  }

  elect(name: string): void {
    this.beforeTime = this.state.time;
    const sequence = this.state.sequence + 1;
    const items: EventItem[] = [{ kind: "leader", verb: "elected", name }];
    if (this.state.logId === "") items.unshift({ kind: "cluster", verb: "created", name: "uid" });
    this.record({ ...this.envelope("election", items), logId: this.state.logId || "log1", epoch: sequence });
  }

  /** As `swain restore` does: a new log that names this one as its parent. */
  restore(logId: string): void {
    const { sequence, clusterUid: name, logId: parent } = this.state;
    const items: EventItem[] = [
      { kind: "cluster", verb: "restored", name, parent, sequence, message: "" },
      { kind: "leader", verb: "elected", name: "restore" },
    ];
    this.record({ ...this.envelope("restore", items), logId, epoch: sequence + 1 });
  }

  join(id: string, over: Partial<NodeFacts> = {}): void {
    this.heardAt.set(id, this.now);
    this.write("api", admitFacts(this.state, id, facts(over)));
  }

  envelope(cause: string, items: EventItem[]): Event {
    const { logId, epoch, lastEventId, sequence } = this.state;
    const id = `e${sequence + 1}`;
    const operation = cause === "api" ? { operation: `op${sequence + 1}` } : {};
    return { schema: 1, logId, epoch, id, prev: lastEventId, time: this.now, cause, ...operation, items };
  }

  record(event: unknown): string {
    const entry = { sequence: this.state.sequence + 1, event: structuredClone(event) };
    this.log.push(entry);
    const folded = foldRecord(this.state, entry);
    for (const key of folded.touched.endpoints) this.touched.endpoints.add(key);
    return folded.outcome;
  }

  write(cause: string, items: EventItem[]): void {
    if (items.length === 0) return;
    const violations = check(this.state, items, this.view());
    if (violations.length > 0) throw new Error(`the checker refuses: ${JSON.stringify(violations)}`);
    const outcome = this.record(this.envelope(cause, items));
    if (outcome !== "accepted") throw new Error(`the fold says ${outcome} to ${JSON.stringify(items)}`);
  }

  private readonly histories = new Map<Key, History | null>();

  /** One look of an autoscaler, as the leader does it; what it decides is written. */
  autoscale(key: Key, useOf: UseOf): AutoscaleEvaluation {
    const autoscaler = this.state.autoscalers.get(key);
    if (autoscaler === undefined) throw new Error(`there is no autoscaler ${key}`);
    const { evaluation, history } = evaluate(
      this.state,
      autoscaler,
      useOf,
      this.histories.get(key) ?? null,
      this.view(),
    );
    this.histories.set(key, history);
    this.write("autoscale", scaleItems(autoscaler, evaluation));
    this.settle();
    return evaluation;
  }

  /** What a new leader does not have. */
  forgetHistories(): void {
    this.histories.clear();
  }

  apply(...documents: unknown[]): Admitted {
    const admitted = admitApply(this.state, documents);
    this.write("api", admitted.items);
    this.settle();
    return admitted;
  }

  view(): View {
    const heardAgoMs = new Map([...this.heardAt].map(([id, at]) => [id, this.now - at]));
    return {
      now: this.now,
      termAgeMs: this.termAgeMs,
      before: { time: this.beforeTime, agoMs: this.silentMs + this.termAgeMs },
      heardAgoMs,
      troubles: new Map([...this.heardAt.keys()].map((id) => [id, this.troubles.get(id) ?? null])),
      proxies: this.proxies,
      writtenAgoMs: this.writtenAgoMs,
      lateAgoMs: this.lateAgoMs,
      logReplicated: this.logReplicated,
      renewedAgoMs: this.renewedAgoMs(),
      isDeaf: this.isDeaf,
    };
  }

  private renewedAgoMs(): Map<string, number> {
    return new Map([...this.renewedAt].map(([id, at]) => [id, this.now - at]));
  }

  /** As a program on no node does; again to renew. */
  register(service: string, name: string, port = 9000, ttl = "10s"): void {
    const request = { service, name, addresses: [{ name: "http", host: "10.0.0.9", port }], ttl };
    const { items } = admitRegister(this.state, "default", request);
    this.renewedAt.set(`default/${service}/${name}`, this.now);
    this.write("api", items);
    this.settle();
  }

  /** Plans until nothing is left to do now; returns the items written. */
  settle(): EventItem[] {
    const written: EventItem[] = [];
    for (let round = 0; round < 200; round++) {
      const next = plan(this.state, this.view(), "all");
      if (next.items.length === 0) return written;
      this.write(next.cause, [...next.items]);
      written.push(...next.items);
    }
    throw new Error("the plan never comes to rest");
  }

  /** Lets time pass in small steps, heartbeats included. */
  pass(ms: number): void {
    for (const end = this.now + ms; this.now < end;) {
      const step = Math.min(end - this.now, 500);
      this.now += step;
      this.termAgeMs += step;
      for (const id of this.heardAt.keys()) if (!this.silent.has(id)) this.heardAt.set(id, this.now);
      this.settle();
    }
  }

  pods(workload = "default/web"): PodRecord[] {
    return [...this.state.pods.values()].filter((pod) => pod.workload === workload);
  }

  report(
    pod: Key,
    state: ObservedState,
    over: { reason?: string; message?: string; restarts?: number; port?: number } = {},
  ): void {
    const record = this.state.pods.get(pod);
    if (record === undefined || record.node === null || this.silent.has(record.node)) return;
    const serving = state === "ready" || state === "running";
    const { port = Number(record.name.split("-").at(-1)), ...rest } = over;
    const address = { name: "http", host: "127.0.0.1", hostPort: 30_000 + (port % 10_000) };
    const observed = { reason: "", message: "", restarts: 0, addresses: serving ? [address] : [], ...rest };
    const { namespace, name } = record;
    this.write("report", admitReport(this.state, record.node, [{ namespace, name, state, observed }]));
    this.settle();
  }

  /** Every heard node does what it is told: runs what should run (unless `broken` says otherwise), stops what should stop. */
  obey(broken: (pod: PodRecord) => boolean = () => false): boolean {
    let moved = false;
    // Those that are there now: a pod made in answer is obeyed the next time, or this might never end.
    const present = [...this.state.pods.keys()];
    for (const key of present) {
      const pod = this.state.pods.get(key);
      if (pod === undefined || pod.node === null || this.silent.has(pod.node)) continue;
      const before = this.state.sequence;
      if (pod.desired === "stop") this.report(pod.key, "stopped");
      else if (broken(pod)) this.report(pod.key, "failed", { reason: "IMAGE_NOT_FOUND", message: "No such image." });
      else if (pod.state !== "stopped") this.report(pod.key, "ready");
      moved ||= this.state.sequence !== before;
    }
    return moved;
  }

  /** Obeys and lets time pass until nothing moves. */
  converge(broken: (pod: PodRecord) => boolean = () => false): void {
    for (let round = 0; round < 400; round++) {
      const before = this.state.sequence;
      if (this.obey(broken) || this.settle().length > 0) this.pass(100);
      else if (this.hasUnchecked()) this.pass(2500);
      if (this.state.sequence === before) return;
    }
    throw new Error("the cluster never comes to rest");
  }

  /** A pod that nothing checks counts for a template change or a drain only after a while. */
  private hasUnchecked(): boolean {
    const drains = [...this.state.nodes.values()].some(({ mode }) => mode === "draining");
    return [...this.state.workloads.values()].some(
      ({ templates }) =>
        (drains || templates.size > 1) && [...templates.values()].some((one) => !one.spec.containers.every(mustShow)),
    );
  }
}
