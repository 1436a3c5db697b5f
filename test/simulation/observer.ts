// Looks at everything in the world at once and holds it against the invariants of the design. It folds the log by itself,
// straight from the server's store, so it knows what is true before any part of the cluster does.
import type { Event, EventItem } from "../../schemas/generated/types.ts";
import type { ContainerInfo } from "../../services/agent/runtime/driver.ts";
import { check } from "../../services/core/check.ts";
import { emptyState, foldRecord } from "../../services/core/fold/fold.ts";
import { fencedSpec } from "../../services/core/fence.ts";
import { limits } from "../../services/bus/limits.ts";
import { keyOf } from "../../services/core/model.ts";
import type { State } from "../../services/core/model.ts";
import { isOver } from "../../services/core/transitions.ts";
import { Answers } from "./answers.ts";
import { Clients } from "./clients.ts";
import { controllerNames } from "./faults.ts";
import { Feeds } from "./feed.ts";
import { type Assignment, type Loss, Orders } from "./orders.ts";
import { Planned } from "./planned.ts";
import { Restarts } from "./restarts.ts";
import { overPromised } from "./room.ts";
import { Scaling } from "./scaling.ts";
import { Serving } from "./serving.ts";
import { Silence } from "./silence.ts";
import { Tables } from "./tables.ts";
import type { Troubles } from "./troubles.ts";
import type { Answer } from "./world/operator.ts";

/** A record as the server has it. */
export interface LogEntry {
  readonly sequence: number;
  readonly data: Uint8Array;
}

export interface Violation {
  readonly at: number;
  readonly invariant: string;
  readonly message: string;
}

/** A running container's node, and the pod it is of. */
export interface Running {
  readonly node: string;
  readonly pod: string;
}

/** A node that is cut off when the log loses its end has heard of that by then, and all that it was told before is stopped. */
const overMs = 300_000;
/** A leader that is cut off when the log loses its end has heard of that by then, and leads no more. */
const deposedMs = 60_000;
/** A proxy that nothing disturbed for this long is waited for. */
const heardMs = 15_000;
/** After a pod's stop, what a proxy sent on its way before may still arrive. */
const onTheWayMs = 5;
/** What keeps a message up for less than a second keeps nobody from being heard, and a full disk no proxy from hearing. */
const slow: ReadonlySet<string> = new Set(["slow", "tableUnsaved"]);
/** An agent that was not there, or could not reach its engine, this recently may have stopped a fenced pod too late. */
const fencedCleanMs = 60_000;
/** The longest lease, and time to have another. */
const leasedMs = 45_000;
/** Of two agents under one id the end of a pod is told by either, up to so much later. */
const doubledMs = 60_000;
/** What nobody's fence stands against: see decision 27. */
const unfencing = [
  "pause",
  "kill",
  "stop",
  "wipe",
  "upgrade",
  "otherFacts",
  "engineDown",
  "engineHangs",
  "engineFlaky",
  "diskFull",
  "clockJump",
  "nodeForced",
  "nodeGivenUp",
  "doubled",
] as const;

const decoder = new TextDecoder();

export class Observer {
  readonly violations: Violation[] = [];
  state: State = emptyState();
  /** The log from its beginning, whatever was cut from it since. */
  readonly archive: LogEntry[] = [];
  /** Records that are gone from the middle of the log: who reads it later never sees them. */
  readonly gone = new Set<number>();
  /** Records looked at so far. */
  records = 0;
  /** Events that leaders wrote. */
  decisions = 0;
  /** The archive began anew as often, because the log had lost records. */
  readonly losses: Loss[] = [];
  /** Records come again that were written before: when they come says nothing. */
  isReplaying = false;
  /** Records strangers wrote that were not met yet. */
  private strays = 0;
  /** And those that were. */
  private met = 0;
  private readonly now: () => number;
  private readonly troubles: Troubles;
  private readonly running: () => readonly Running[];
  /** What is said of nodes that are not heard. */
  readonly silence: Silence;
  /** What proxies connect to and carry. */
  readonly serving: Serving;
  readonly clients: Clients;
  readonly restarts: Restarts;
  /** What autoscalers make of what pods use. */
  readonly scaling: Scaling;
  /** What proxies know of endpoints. */
  readonly tables: Tables;
  /** What nodes were told. */
  readonly orders: Orders;
  private readonly planned: Planned;
  readonly feeds: Feeds;
  /** Judges of their own, told each item of an event once it is folded. */
  readonly lookers: ((item: EventItem, sequence: number) => void)[] = [];
  private readonly answers = new Answers((message) => this.violate("1", message));
  /** Pods whose agent said that they have stopped for good. */
  private readonly over = new Set<string>();
  /** Pods whose end was told by one of two agents under one id: the other may have them run. */
  private readonly toldByTwo = new Set<string>();
  /** Pods → what makes two of them copies of one, for those with a fence. */
  private readonly fenced = new Map<string, string>();
  /** Pods that were to run when the log was lost; news of the end of others may still be on its way. */
  private lastWanted: ReadonlySet<string> = new Set();
  /** When the log last lost something. */
  private forgotAt = -Infinity;
  private saidRefused = false;
  /** Event time of the last election. */
  private electedAt = 0;
  /** `node:port` → the pod that was stopped there at the cluster's wish, and when. */
  private readonly stopped = new Map<string, { readonly pod: string; readonly at: number }>();

  constructor(now: () => number, troubles: Troubles, running: () => readonly Running[]) {
    this.now = now;
    this.troubles = troubles;
    this.running = running;
    this.silence = new Silence(now, troubles, (message) => this.violate("liveness", message));
    this.restarts = new Restarts(now, troubles, (message) => this.violate("14", message));
    this.scaling = new Scaling(now, troubles, (message) => this.violate("13", message));
    this.clients = new Clients(now, troubles, (message) => this.violate("7", message));
    this.tables = new Tables(now, troubles, (message) => this.violate("7", message));
    this.orders = new Orders(now, (message) => this.violate("6", message));
    this.planned = new Planned(now, (invariant, message) => this.violate(invariant, message));
    this.feeds = new Feeds(now, troubles, (message) => {
      if (this.isWhole) this.violate("8", message);
    });
    this.serving = new Serving(now, troubles, (message) => {
      if (this.isWhole) this.violate("7", message);
    });
  }

  violate(invariant: string, message: string): void {
    this.violations.push({ at: this.now(), invariant, message });
  }

  /** The next record of the log. */
  onRecord({ sequence, data }: LogEntry): void {
    this.records += 1;
    this.archive.push({ sequence, data });
    const event = parse(data);
    const before = this.before(event);
    if (!this.isReplaying && this.isNext(event)) this.planned.onEvent(this.state, event, sequence);
    const { outcome } = foldRecord(this.state, { sequence, event });
    if (outcome === "unknown") this.violate("8", `record ${sequence} is of the chain, but not understood`);
    if (outcome === "foreign") this.foreign(sequence);
    if (outcome !== "accepted") return;
    if (!this.isReplaying) this.decisions += 1;
    for (const problem of before) this.violate("3", `event ${sequence}: ${problem}`);
    const { operation, items, time } = event as Event;
    if (sequence === this.state.epoch) this.electedAt = time;
    this.feeds.onEvent(sequence, event as Event);
    if (operation !== undefined) this.answers.onOperation(operation, sequence);
    for (const item of items) {
      this.item(item, sequence);
      for (const look of this.lookers) look(item, sequence);
    }
  }

  /** What was seen of what the log lost is over, wherever it was seen. */
  private get isWhole(): boolean {
    return this.isKept(overMs);
  }

  /** True when the log lost nothing for so long. */
  isKept(ms: number): boolean {
    return this.now() - this.forgotAt > ms;
  }

  /** The log lost all after record `left`: what was seen of it counts no more. */
  forget(left: number): void {
    this.forgotAt = this.now();
    this.losses.push({ logId: this.state.logId, left, epoch: this.state.epoch });
    // Those that are left, or come back with a backup, are met again.
    this.strays += this.met;
    this.met = 0;
    for (const sequence of this.gone) if (sequence > left) this.gone.delete(sequence);
    this.stopped.clear();
    this.serving.forget();
    this.feeds.forget();
    this.restarts.forget();
    this.tables.forget();
    this.orders.forget();
    if (this.state.logId !== "") this.lastWanted = namesOfWanted(this.state);
    this.state = emptyState();
    this.archive.length = 0;
    this.answers.forget();
    this.over.clear();
  }

  /** Somebody else writes a record into the log. */
  onStray(): void {
    this.strays += 1;
  }

  /** Every append states the sequence it expects, so a record that does not count can only be a stray. */
  private foreign(sequence: number): void {
    this.met += 1;
    if (this.strays > 0) this.strays -= 1;
    // Who led what the log lost may append once more before it hears of that: the sequence it expects may have been given again.
    else if (this.isKept(deposedMs))
      this.violate("8", `record ${sequence} does not extend the log, and no stranger wrote it`);
  }

  /** Whether a record is an event that follows the last one; strays are not. */
  private isNext(record: unknown): record is Event {
    const { items, prev } = (record ?? {}) as Partial<Event>;
    return Array.isArray(items) && prev === this.state.lastEventId && this.state.logId !== "";
  }

  /** What the checker says of an event before it is folded. */
  private before(event: unknown): string[] {
    if (!this.isNext(event)) return [];
    const { items, time } = event;
    try {
      // The clock that its leader had, and since when it had it: the first event of a term is stamped before the term begins.
      // Of a log nothing is known but event times: that a clock is ahead of the one before it is not seen here.
      const clock = { now: time, termAgeMs: time - this.electedAt, before: { time: 0, agoMs: 0 } };
      return check(this.state, items, clock).map(({ code, message }) => `${code} ${message}`);
    } catch (error) {
      return [`the checker failed: ${String(error)}`];
    }
  }

  private item(item: EventItem, sequence: number): void {
    this.answers.onItem(this.state, item, sequence);
    if (item.kind === "pod") this.pod(item, sequence);
    if (item.kind === "pod" && item.verb !== "removed" && "reason" in item && item.reason === "PORT_TAKEN") {
      this.violate("9", `event ${sequence}: ${item.name} finds its port taken, and only pods take ports here`);
    }
    if (item.kind === "pod" && item.verb === "lost" && !this.isReplaying) {
      this.silence.onLost(this.state, keyOf(item.namespace, item.name), sequence);
    }
    if (item.kind === "service" && item.verb === "applied") this.serving.onService(this.state, item);
    if (item.kind === "autoscaler" && item.verb === "scaled" && !this.isReplaying) {
      this.scaling.onScaled(this.state, item, sequence);
    }
    if (item.kind === "node") this.silence.onNode(this.state, item, sequence, this.isReplaying);
  }

  private pod(item: Extract<EventItem, { kind: "pod" }>, sequence: number): void {
    const key = keyOf(item.namespace, item.name);
    const pod = this.state.pods.get(key);
    this.serving.onPod(this.state, item, key, sequence);
    this.restarts.onPod(item, pod?.node, key, sequence);
    const requests = this.state.workloads.get(pod?.workload ?? "")?.templates.get(pod?.template ?? 0)?.requests;
    const isGiven = item.verb === "assigned" && requests !== undefined;
    const over = isGiven ? overPromised(this.state, item.node, requests) : null;
    if (over !== null)
      this.violate("3", `event ${sequence}: more is promised of the node of ${key} than it has: ${over}`);
    if (item.verb === "assigned" && pod !== undefined) {
      if (fencedSpec(this.state, pod) !== null) this.fenced.set(key, `${pod.workload} ${pod.slot}`);
    }
    if (item.verb === "stopped" && pod?.desired === "stop") this.over.add(key);
    const isDoubled = this.troubles.lasted(pod?.node ?? "", "doubled", this.now() - doubledMs) > 0;
    if ((item.verb === "stopped" || item.verb === "failed") && isDoubled) this.toldByTwo.add(key);
    if (item.verb === "stopped" && pod?.desired === "run") {
      const { restartPolicy = "Always" } =
        this.state.workloads.get(pod.workload)?.templates.get(pod.template)?.spec ?? {};
      const isDone = restartPolicy !== "Always" && item.observed.reason === "COMPLETED";
      if (!isDone) this.violate("10", `event ${sequence}: ${key} was stopped, which should run`);
    }
    if (item.verb === "drained" && item.reason === "PROXY_NOT_ACKED" && pod !== undefined) {
      const waited = this.state.time - pod.since;
      // A leader whose clock is behind the one before it counts the time of its own term: event times say nothing then.
      if (waited >= 0 && waited < limits.proxyAckMs) {
        this.violate("7", `event ${sequence}: proxies had only ${waited} ms to let go of ${key}`);
      }
    }
  }

  /** A node wrote down what it was told. */
  onAssignment(node: string, told: Assignment): void {
    this.orders.onAssignment(node, told, this.isWhole);
  }

  /** What an operator was told. */
  onAnswer(answer: Answer): void {
    if (answer.askedAt <= this.forgotAt) return;
    // A leader that has not noticed yet that the log is gone answers a repeated change from memory.
    if (typeof answer.outcome !== "string" && this.state.logId === "") return;
    this.answers.onAnswer(this.state, answer);
  }

  /** An agent is about to end a running container, one of so many that run for its pod there. */
  onEnd(node: string, container: ContainerInfo, running: number): void {
    // All containers of a pod are started anew together.
    const isBroken = running < this.orders.containers(node, container.pod);
    const isLeft = this.lastWanted.has(container.pod) && !this.fenced.has(container.pod) && !isBroken;
    if (this.state.logId === "" && isLeft) {
      this.violate("12", `node ${node} ends ${container.pod} while there is no log`);
    }
    const pod = this.state.pods.get(container.pod);
    const wanted = pod !== undefined && pod.node === node && pod.desired !== "stop" && pod.state !== "lost";
    const isFence = this.fenced.has(container.pod) && !this.isLeased(node);
    const isLost = pod === undefined || this.orders.isForLost(this.state, this.losses, node, pod, container);
    if (wanted && !isFence && !isLost && !isBroken)
      this.violate("10", `node ${node} ends ${container.pod}, which should ${pod.desired} there`);
    if (pod?.desired !== "stop" || pod.node !== node) return;
    for (const { hostPort } of container.ports) {
      this.stopped.set(`${node}:${hostPort}`, { pod: container.pod, at: this.now() });
    }
  }

  /** True where nothing can have kept the node from being granted its lease. */
  private isLeased(node: string): boolean {
    const isClean = (place: string): boolean => this.troubles.isClean(place, leasedMs);
    // A leader looks at the log's tail before it grants: on a slow link all of that may take longer than the lease.
    return this.troubles.isClean(node, leasedMs, slow) && ["bus", ...controllerNames].every(isClean);
  }

  /** An agent starts a container. */
  onStart(node: string, container: ContainerInfo): void {
    for (const { hostPort } of container.ports) this.stopped.delete(`${node}:${hostPort}`);
    this.restarts.onStart(node, container.pod, container.name);
    const pod = this.state.pods.get(container.pod);
    const isDone = pod?.node === node && isOver(pod) && !this.toldByTwo.has(container.pod);
    if (this.over.has(container.pod) || isDone) {
      this.violate("2", `node ${node} starts ${container.pod}, which had stopped for good`);
    }
    const copies = this.fenced.get(container.pod);
    if (copies === undefined || !this.isWhole || !this.isFencing(node)) return;
    for (const other of this.running()) {
      if (other.pod === container.pod || this.fenced.get(other.pod) !== copies || !this.isFencing(other.node)) continue;
      this.violate("fence", `node ${node} starts ${container.pod} while its copy ${other.pod} runs on ${other.node}`);
    }
  }

  /** False where a fence may have failed as decision 27 says. */
  private isFencing(node: string): boolean {
    const since = this.now() - fencedCleanMs;
    return unfencing.every((kind) => this.troubles.lasted(node, kind, since) === 0);
  }

  /** A proxy connects to a port of a node. */
  onAttempt(proxy: string, node: string, port: number): void {
    const found = this.stopped.get(`${node}:${port}`);
    if (found === undefined || this.now() - found.at < onTheWayMs) return;
    const ms = heardMs + this.now() - found.at;
    const places = ["bus", proxy, ...controllerNames];
    if (!places.every((place) => this.troubles.isClean(place, ms, slow))) return;
    this.stopped.delete(`${node}:${port}`);
    this.violate("7", `proxy ${proxy} still connects to ${found.pod} on ${node}, which was stopped`);
  }

  /** So many items of plans and reports the controllers' own checkers have refused, and so often a planner did not come to rest, all together. */
  onRefused(count: number): void {
    if (count === 0 || this.saidRefused) return;
    // The same is refused again with every plan: once is enough.
    this.saidRefused = true;
    this.violate("plan", "a controller plans what its own checker refuses, or does not come to rest (PLAN_REFUSED)");
  }

  /** After everything. */
  finish(): void {
    this.answers.finish();
  }

  get acknowledgedCount(): number {
    return this.answers.count;
  }
}

function parse(data: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(data));
  } catch {
    return undefined;
  }
}

function namesOfWanted({ pods }: State): Set<string> {
  const wanted = [...pods].filter(([, { desired, state }]) => desired === "run" && state !== "lost");
  return new Set(wanted.map(([key]) => key));
}
