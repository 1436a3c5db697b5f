// Leaders, agents and the way between them, with everything that may go wrong in between: messages late or lost, clocks
// that run fast or slow, leaders that were followed by others and do not know it, agents that start anew, disks that are
// full. Whatever decides is the code that ships; only time, the wire, the log's store, disks and the engine are played here.
import type { Assign, AssignedPod, Event, EventItem, LeaseReply } from "../../schemas/generated/types.ts";
import { type Held, judge, nothingHeld, withdrawn } from "../../services/agent/assignment.ts";
import { fenceOf, graceLeft, noted, stopAsked, type Lease } from "../../services/agent/pod/fence.ts";
import { adoptRecord, freshRecord, type KeptRecord, keptOf, type PodRecord } from "../../services/agent/pod/record.ts";
import { restartDelayMs } from "../../services/agent/pod/restart.ts";
import { nextStep } from "../../services/agent/pod/step.ts";
import type { ContainerInfo } from "../../services/agent/runtime/driver.ts";
import { admitScale } from "../../services/core/admit/change.ts";
import { nodeAssignment } from "../../services/core/assignment.ts";
import { check } from "../../services/core/check.ts";
import { emptyState, foldRecord } from "../../services/core/fold/fold.ts";
import { leaseVerdict, leaseWorth } from "../../services/core/lease.ts";
import type { State } from "../../services/core/model.ts";
import { plan } from "../../services/core/plan/plan.ts";
import { TestCluster, workloadManifest } from "./core.ts";

const tickMs = 250;
/** What an engine may need on top of the grace period; less than the proof allows by a tick of the agent. */
const killMs = 2500;
const startMs = 2000;

type Random = () => number;

const quick = { beat: 50, sync: 50, lease: 50, grant: 50, append: 50 };
export type Kind = keyof typeof quick;

interface Record_ {
  readonly sequence: number;
  readonly event: unknown;
}

export class FenceWorld {
  now = 0;
  readonly log: Record_[];
  readonly leaders: TestLeader[] = [];
  readonly nodes: TestNode[];
  readonly random: Random;
  /** The longest a message of each kind may take now. */
  slowest = { ...quick };
  private readonly wire: { readonly at: number; readonly deliver: () => void }[] = [];
  /** Moments at which a second copy of the pod ran. */
  readonly doubles: string[] = [];
  /** Nodes on which the pod ran so far, in order. */
  readonly ran: string[] = [];

  constructor(random: Random, nodes: number) {
    this.random = random;
    const ids = Array.from({ length: nodes }, (_, at) => `n${at + 1}`);
    const cluster = new TestCluster(Object.fromEntries(ids.map((id) => [id, {}])));
    const spec = { replicas: 1, fence: true, lostAfter: "10s", stopGracePeriod: "2s" };
    cluster.apply(workloadManifest("db", { ...spec, containers: [{ name: "main", image: "db:1" }] }));
    cluster.apply(workloadManifest("web", { replicas: nodes, containers: [{ name: "main", image: "web:1" }] }));
    this.log = cluster.log;
    this.nodes = ids.map((id) => new TestNode(this, id, this.rate()));
    this.leaders.push(new TestLeader(this, this.rate()));
  }

  /** A clock's speed: half a percent off at most. */
  private rate(): number {
    return 0.995 + this.random() * 0.01;
  }

  /** Half of what is sent takes as long as anything of its kind can: deadlines are met at their last moment. */
  send(kind: Kind, deliver: () => void): void {
    this.later(Math.min(1, this.random() * 2) * this.slowest[kind], deliver);
  }

  /** Nothing is slow, everybody hears everybody, and disks have room. */
  mend(): void {
    this.slowest = { ...quick };
    for (const node of this.nodes) {
      node.deaf.clear();
      node.isFull = false;
    }
  }

  cut(node: TestNode, leaders: readonly TestLeader[] = this.leaders): void {
    for (const leader of leaders) node.deaf.add(leader);
  }

  get host(): TestNode | undefined {
    return this.nodes.find(({ running }) => running.length > 0);
  }

  later(ms: number, deliver: () => void): void {
    this.wire.push({ at: this.now + ms, deliver });
  }

  /** Somebody changes the number of pods that are not fenced: nodes are told something that does not touch the fenced one. */
  scale(): void {
    for (const leader of this.leaders) leader.scale(this.nodes.length);
  }

  elect(): void {
    this.leaders.push(new TestLeader(this, this.rate()));
  }

  pass(ms: number): void {
    for (const end = this.now + ms; this.now < end;) {
      this.now += tickMs;
      for (;;) {
        const due = this.wire.filter(({ at }) => at <= this.now).toSorted((a, b) => a.at - b.at)[0];
        if (due === undefined) break;
        this.wire.splice(this.wire.indexOf(due), 1);
        due.deliver();
      }
      for (const leader of this.leaders) leader.tick();
      for (const node of this.nodes) node.tick();
      const running = this.nodes.filter((node) => node.running.length > 0);
      const [first] = running;
      if (first !== undefined && this.ran.at(-1) !== first.id) this.ran.push(first.id);
      if (running.flatMap((node) => node.running).length > 1)
        this.doubles.push(`${this.now}: ${running.map((node) => `${node.id} ${node.running.join()}`).join(", ")}`);
    }
  }
}

class TestLeader {
  readonly state: State = emptyState();
  frozenUntil = 0;
  private readonly world: FenceWorld;
  private readonly rate: number;
  private readonly epoch: number;
  private readonly startedAt: number;
  private readonly heard = new Map<string, number>();
  private ended = false;
  private under: Event | null = null;
  private readonly muted = new Set<string>();

  /** Catches up and is elected, as long as nobody else is in that moment. */
  constructor(world: FenceWorld, rate: number) {
    this.world = world;
    this.rate = rate;
    this.catchUp(world.log.length);
    this.epoch = world.log.length + 1;
    const elected: EventItem = { kind: "leader", verb: "elected", name: `c${this.epoch}` };
    world.log.push({ sequence: this.epoch, event: { ...this.envelope("election", [elected]), epoch: this.epoch } });
    this.catchUp(world.log.length);
    this.startedAt = this.mono;
  }

  private get mono(): number {
    return this.world.now * this.rate;
  }

  get leads(): boolean {
    return !this.ended && this.state.epoch === this.epoch;
  }

  /** Does something when it is awake. */
  private awake(fn: () => void): void {
    const wait = this.frozenUntil - this.world.now;
    if (wait > 0) this.world.later(wait, () => this.awake(fn));
    else if (!this.ended) fn();
  }

  /** Hears nothing of the node from now on; what it answered already is still under way. */
  mute(node: string): void {
    this.muted.add(node);
  }

  /** An event is on its way into the log that gives a fenced pod up. */
  get isGivingUp(): boolean {
    return this.under?.items.some((item) => item.kind === "pod" && item.verb === "lost" && isFenced(item)) === true;
  }

  hear(node: string): void {
    if (!this.muted.has(node)) this.awake(() => this.heard.set(node, this.mono));
  }

  sync(node: string, answer: (assign: Assign) => void): void {
    this.awake(() => {
      const record = this.state.nodes.get(node);
      if (record === undefined) return;
      const { logId, epoch, clusterUid } = this.state;
      const items = nodeAssignment(this.state, node);
      answer({ clusterUid, logId, epoch, generation: record.assignment, base: 0, items, gone: [] });
    });
  }

  /** The log is read after the request came, and answered after that, each as late as it pleases. */
  lease(node: string, logId: string, answer: (reply: LeaseReply) => void): void {
    if (this.muted.has(node)) return;
    this.awake(() => {
      this.world.send("lease", () =>
        this.awake(() => {
          const tail = this.world.log.length;
          this.world.send("lease", () => this.awake(() => this.grant(node, logId, tail, answer)));
        }),
      );
    });
  }

  private grant(node: string, logId: string, tail: number, answer: (reply: LeaseReply) => void): void {
    // Its own append is in the log and not known to it: the state is waited for.
    if (this.under !== null && tail > this.state.sequence) {
      this.world.later(tickMs, () => this.awake(() => this.grant(node, logId, tail, answer)));
      return;
    }
    this.catchUp(tail);
    if (!this.leads) return;
    const verdict = leaseVerdict(this.state, node, logId);
    if (!("generation" in verdict)) return;
    this.heard.set(node, this.mono);
    answer({ logId: this.state.logId, epoch: this.epoch, generation: verdict.generation });
  }

  /** Twice as many pods of the other workload, or as many as at first. */
  scale(replicas: number): void {
    this.awake(() => {
      if (!this.leads || this.under !== null) return;
      const isFirst = this.state.workloads.get("default/web")?.spec.replicas === replicas;
      this.append(
        this.envelope("api", admitScale(this.state, "default", "web", isFirst ? 2 * replicas : replicas).items),
      );
    });
  }

  tick(): void {
    if (this.world.now < this.frozenUntil || this.ended || this.under !== null) return;
    const view = {
      now: Math.round(this.mono),
      termAgeMs: this.mono - this.startedAt,
      before: { time: 0, agoMs: 0 },
      heardAgoMs: new Map([...this.state.nodes.keys()].map((id) => [id, this.silence(id)])),
      troubles: new Map(),
      proxies: [],
      writtenAgoMs: new Map(),
      lateAgoMs: new Map(),
      logReplicated: false,
      renewedAgoMs: new Map(),
      isDeaf: false,
    };
    const { cause, items } = plan(this.state, view, "all");
    if (items.length === 0) return;
    const violations = check(this.state, items, view);
    if (violations.length > 0) throw new Error(JSON.stringify(violations));
    this.append(this.envelope(cause, [...items]));
  }

  private silence(node: string): number {
    return this.mono - (this.heard.get(node) ?? this.startedAt);
  }

  /** Gets into the log some time later, if nobody was faster, and is known to be in it some time after that. */
  private append(event: Event): void {
    const expected = this.state.sequence;
    this.under = event;
    this.world.send("append", () => {
      const fits = this.world.log.length === expected;
      if (fits) this.world.log.push({ sequence: expected + 1, event });
      this.world.send("append", () =>
        this.awake(() => {
          this.under = null;
          this.catchUp(fits ? expected + 1 : this.world.log.length);
        }),
      );
    });
  }

  private catchUp(to: number): void {
    for (const record of this.world.log.slice(this.state.sequence, to)) foldRecord(this.state, structuredClone(record));
    if (this.epoch !== undefined && this.state.epoch !== this.epoch) this.ended = true;
  }

  private envelope(cause: string, items: EventItem[]): Event {
    const { logId, epoch, lastEventId, sequence } = this.state;
    const id = `e${sequence + 1}-${this.world.random()}`;
    return { schema: 1, logId, epoch, id, prev: lastEventId, time: Math.round(this.mono), cause, items };
  }
}

class TestNode {
  readonly id: string;
  /** Leaders with whom it exchanges no message. */
  readonly deaf = new Set<TestLeader>();
  private readonly world: FenceWorld;
  private readonly rate: number;
  /** The disk takes no writes. */
  isFull = false;
  /** On the disk, as are records of pods. */
  private held: Held = nothingHeld;
  private kept = new Map<string, KeptRecord>();
  private told: Held = nothingHeld;
  private lease: Lease = { grantedAt: null, adoptedAt: 0, sleptAt: null };
  private excepted = new Map<string, Lease>();
  private epoch = 0;
  private pods = new Map<string, Pod>();
  private readonly phase: number;

  constructor(world: FenceWorld, id: string, rate: number) {
    this.world = world;
    this.id = id;
    this.rate = rate;
    this.phase = Math.floor(world.random() * 4) * tickMs;
  }

  private get mono(): number {
    return this.world.now * this.rate;
  }

  /** Fenced pods. */
  get running(): string[] {
    return [...this.pods].flatMap(([key, pod]) =>
      isFenced({ name: key.replace("default/", "") }) && pod.containers.some(isRunning) ? [key] : [],
    );
  }

  /** Killed and started again: it knows its journal and what the engine shows, and nothing of any lease. */
  restart(): void {
    this.told = this.held;
    this.excepted.clear();
    this.lease = { grantedAt: null, adoptedAt: this.mono, sleptAt: null };
    this.epoch = 0;
    this.pods = new Map(
      [...this.pods].map(([key, { containers }]) => [
        key,
        {
          containers,
          record: adoptRecord(this.kept.get(key) ?? null, containers, this.mono, restartDelayMs),
          work: null,
        },
      ]),
    );
  }

  tick(): void {
    if ((this.world.now + this.phase) % 1000 === 0) this.talk();
    for (const [key, item] of this.held.items) {
      if (!this.pods.has(key)) this.pods.set(key, { record: freshRecord, containers: [], work: null });
      this.step(key, item);
    }
    for (const key of this.pods.keys()) if (!this.held.items.has(key)) this.step(key, null);
    if (!this.isFull) this.kept = new Map([...this.pods].map(([key, { record }]) => [key, keptOf(record)]));
  }

  private talk(): void {
    const { logId } = this.told;
    const sentAt = this.mono;
    for (const leader of this.world.leaders) {
      const reach = (kind: Kind, deliver: () => void): void => this.reach(leader, kind, deliver);
      reach("beat", () => leader.hear(this.id));
      reach("sync", () => leader.sync(this.id, (assign) => reach("sync", () => this.assign(assign))));
      const answer = (reply: LeaseReply): void => reach("grant", () => this.granted(sentAt, reply));
      reach("lease", () => leader.lease(this.id, logId, answer));
    }
  }

  /** A message of this node or to it, unless the way is cut at either end of its time. */
  private reach(leader: TestLeader, kind: Kind, deliver: () => void): void {
    if (this.deaf.has(leader)) return;
    this.world.send(kind, () => {
      if (!this.deaf.has(leader)) deliver();
    });
  }

  private assign(message: Assign): void {
    const verdict = judge(this.told, message);
    if (!("take" in verdict)) return;
    this.told = verdict.take;
    if (!this.isFull) this.held = this.told;
    const before = this.excepted;
    this.excepted = new Map([...withdrawn(this.held, this.told)].map((key) => [key, before.get(key) ?? this.lease]));
    this.epoch = Math.max(this.epoch, message.epoch);
  }

  private granted(sentAt: number, reply: LeaseReply): void {
    if (leaseWorth(this.told, this.epoch, reply) !== "granted") return;
    const { grantedAt, adoptedAt } = this.lease;
    // What was asked by an earlier start of the agent is not answered to this one.
    if (sentAt >= Math.max(grantedAt ?? 0, adoptedAt)) this.lease = { grantedAt: sentAt, adoptedAt, sleptAt: null };
  }

  private step(key: string, item: AssignedPod | null): void {
    const pod = this.pods.get(key);
    if (pod === undefined) return;
    if (pod.work !== null) {
      if (this.world.now < pod.work.until) return;
      pod.containers = pod.work.after;
      pod.work = null;
    }
    for (let round = 0; round < 10; round++) {
      const fence = fenceOf(item, pod.record, this.excepted.get(key) ?? this.lease);
      const { containers } = pod;
      const { record, step } = nextStep({ pod: item, containers, record: pod.record, fence, now: this.mono });
      pod.record = record;
      if (step.do === "wait" || step.do === "done") return;
      const info: ContainerInfo = { id: key, pod: key, name: "main", state: "created", oomKilled: false, ports: [] };
      if (step.do === "note") pod.record = noted(record, !this.isFull);
      else if (step.do === "pull") pod.record = { ...record, pulled: ["main"] };
      else if (step.do === "create") pod.containers = [info];
      else if (step.do === "remove") pod.containers = [];
      else {
        // While it starts or stops, it may be running all the time.
        const result: ContainerInfo = { ...info, state: step.do === "start" ? "running" : "exited", exitCode: 143 };
        pod.record =
          step.do === "start" ? { ...record, started: ["main"], adopted: false } : stopAsked(record, pod.containers);
        pod.containers = [{ ...info, state: "running" }];
        const graceMs = item?.stopGraceMs ?? 0;
        const left = fence === null ? graceMs : graceLeft(fence, graceMs, this.mono);
        const most = step.do === "start" ? startMs : left + killMs;
        pod.work = { until: this.world.now + this.world.random() ** 0.2 * most, after: [result] };
        return;
      }
    }
  }
}

interface Pod {
  record: PodRecord;
  containers: ContainerInfo[];
  work: { readonly until: number; readonly after: ContainerInfo[] } | null;
}

const isFenced = ({ name }: { readonly name: string }): boolean => name.startsWith("db-");
const isRunning = ({ state }: ContainerInfo): boolean => state === "running";
