// Looks at everything in the world at once and holds it against the invariants of the design. It folds the log by itself,
// straight from the server's store, so it knows what is true before any part of the cluster does.
import type { Accepted, Event, EventItem } from "../../schemas/generated/types.ts";
import type { ContainerInfo } from "../../services/agent/runtime/driver.ts";
import { check } from "../../services/core/check.ts";
import { emptyState, foldRecord } from "../../services/core/fold/fold.ts";
import { limits } from "../../services/bus/limits.ts";
import { parseDurationMs } from "../../services/core/quantity.ts";
import { keyOf } from "../../services/core/model.ts";
import type { State } from "../../services/core/model.ts";
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

/** What the observer asks about the world at this moment. */
export interface Conditions {
  /** True when nothing has disturbed this node, its way to the bus and the bus itself for that long. */
  isNodeClean(node: string, ms: number): boolean;
  isProxyClean(proxy: string, ms: number): boolean;
}

/** Answers that say that nothing had to be changed. */
const idle: ReadonlySet<string> = new Set(["unchanged"]);
/** Answers that leave open what became of a change. */
const open: ReadonlySet<string> = new Set(["NO_LEADER", "TIMEOUT", "BUSY", "NATS_UNREACHABLE", "BUS_CLOSED"]);
/** A node may be called unheard only when something disturbed it, or the bus, this recently. */
const cleanMs = 12_000;
/** A proxy that nothing disturbed for this long is waited for. */
const heardMs = 15_000;
/** After a pod's stop, what a proxy sent on its way before may still arrive. */
const onTheWayMs = 1400;

/** More nodes than this share silent at once may be a fault of ours, and are waited for this long (decision 5). */
const massShare = 0.3;
const massHoldMs = 290_000;

/** What a new leader's reckoning of time may differ from the one before it. */
const slackMs = 1500;

const decoder = new TextDecoder();

export class Observer {
  readonly violations: Violation[] = [];
  state: State = emptyState();
  /** The log from its beginning, whatever was cut from it since. */
  readonly archive: LogEntry[] = [];
  /** Records looked at so far. */
  records = 0;
  /** Records strangers wrote that were not met yet. */
  private strays = 0;
  /** Node → when it was first called unheard for itself. */
  private readonly unheardSince = new Map<string, { readonly at: number; readonly eventTime: number }>();
  private readonly now: () => number;
  private readonly conditions: Conditions;
  /** Operation → sequences of the events that carried it. */
  private readonly operations = new Map<string, number[]>();
  /** Changes that were acknowledged: operation → sequence. */
  private readonly acknowledged = new Map<string, number>();
  /** Pods whose agent said that they have stopped for good. */
  private readonly over = new Set<string>();
  /** `node:port` → the pod that was stopped there at the cluster's wish, and when. */
  private readonly stopped = new Map<string, { readonly pod: string; readonly at: number }>();

  constructor(now: () => number, conditions: Conditions) {
    this.now = now;
    this.conditions = conditions;
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
    const { outcome } = foldRecord(this.state, { sequence, event });
    if (outcome === "unknown") this.violate("8", `record ${sequence} is of the chain, but not understood`);
    if (outcome === "foreign") this.foreign(sequence);
    if (outcome !== "accepted") return;
    for (const problem of before) this.violate("3", `event ${sequence}: ${problem}`);
    const { operation, items } = event as Event;
    if (operation !== undefined) this.operation(operation, sequence);
    for (const item of items) this.item(item, sequence);
  }

  /** The log lost its end, or all: what was seen of it counts no more. */
  forget(): void {
    this.state = emptyState();
    this.archive.length = 0;
    this.operations.clear();
    this.acknowledged.clear();
    this.over.clear();
  }

  /** Somebody else writes a record into the log. */
  onStray(): void {
    this.strays += 1;
  }

  /** Every append states the sequence it expects, so a record that does not count can only be a stray. */
  private foreign(sequence: number): void {
    this.strays -= 1;
    if (this.strays < 0) this.violate("8", `record ${sequence} does not extend the log, and no stranger wrote it`);
  }

  /** What the checker says of an event before it is folded; of strays it says nothing. */
  private before(event: unknown): string[] {
    const { items, prev } = (event ?? {}) as Partial<Event>;
    if (!Array.isArray(items) || prev !== this.state.lastEventId || this.state.logId === "") return [];
    try {
      return check(this.state, items).map(({ code, message }) => `${code} ${message}`);
    } catch (error) {
      return [`the checker failed: ${String(error)}`];
    }
  }

  private operation(operation: string, sequence: number): void {
    const seen = [...(this.operations.get(operation) ?? []), sequence];
    this.operations.set(operation, seen);
    if (seen.length > 1) this.violate("1", `operation ${operation} was carried out twice, at ${seen.join(" and ")}`);
  }

  private item(item: EventItem, sequence: number): void {
    if (item.kind === "pod" && item.verb === "stopped") {
      const key = keyOf(item.namespace, item.name);
      if (this.state.pods.get(key)?.desired === "stop") this.over.add(key);
    }
    if (item.kind === "pod" && item.verb !== "removed" && "reason" in item && item.reason === "PORT_TAKEN") {
      this.violate("9", `event ${sequence}: ${item.name} finds its port taken, and only pods take ports here`);
    }
    if (item.kind === "pod" && item.verb === "lost") this.lost(sequence, keyOf(item.namespace, item.name));
    if (item.kind === "node") {
      const isAlone = item.verb === "unknown" && item.reason === "NODE_UNHEARD";
      if (!isAlone) this.unheardSince.delete(item.name);
      else if (!this.unheardSince.has(item.name)) {
        this.unheardSince.set(item.name, { at: this.now(), eventTime: this.state.time });
      }
    }
    if (item.kind === "node" && item.verb === "unknown" && item.reason === "NODE_UNHEARD") {
      if (this.conditions.isNodeClean(item.name, cleanMs)) {
        this.violate("liveness", `event ${sequence}: node ${item.name} is called unheard though nothing was wrong`);
      }
    }
  }

  /** Pods are given up only while most nodes are heard, or after the hold. */
  private lost(sequence: number, key: string): void {
    const { nodes, time, pods, workloads } = this.state;
    const pod = pods.get(key);
    const lostAfter = workloads.get(pod?.workload ?? "")?.spec.lostAfter ?? "15s";
    const since = this.unheardSince.get(pod?.node ?? "") ?? { at: -Infinity, eventTime: -Infinity };
    // An event may get into the log seconds after it was decided, and a leader's clock may jump: the longer one counts.
    const waited = Math.max(this.now() - since.at, time - since.eventTime);
    if (waited < parseDurationMs(lostAfter) - limits.nodeUnheardMs - slackMs) {
      this.violate(
        "liveness",
        `event ${sequence}: ${key} is given up ${Math.round(waited)} ms after its node fell silent`,
      );
    }
    const silent = [...nodes.values()].filter(({ state }) => state === "unknown");
    if (silent.length < 2 || silent.length <= nodes.size * massShare) return;
    const longest = Math.max(...silent.map(({ since }) => time - since));
    if (longest >= massHoldMs) return;
    this.violate("liveness", `event ${sequence}: a pod is given up though ${silent.length} nodes fell silent at once`);
  }

  /** What an operator was told. `isStored` looks into the store of the server at this moment. */
  onAnswer({ operation, outcome, wish }: Answer): void {
    if (typeof outcome === "string") {
      const at = this.operations.get(operation)?.[0];
      if (at !== undefined && !open.has(outcome)) {
        this.violate("1", `operation ${operation} was refused with ${outcome}, but is in the log at ${at}`);
      }
      return;
    }
    const done = outcome.results.some(({ action }) => !idle.has(action));
    if (!done || isNothing(outcome, this.operations.get(operation))) return;
    this.acknowledged.set(operation, outcome.sequence);
    const at = this.operations.get(operation)?.[0];
    if (at === outcome.sequence) return;
    const where = at === undefined ? "is not in the log" : `is in the log at ${at}`;
    const what = `${wish.resource}.${wish.verb} ${operation}`;
    this.violate("1", `${what} was acknowledged at ${outcome.sequence}, but ${where}`);
  }

  /** An agent is about to end a running container. */
  onEnd(node: string, container: ContainerInfo): void {
    const pod = this.state.pods.get(container.pod);
    const wanted = pod !== undefined && pod.node === node && pod.desired !== "stop" && pod.state !== "lost";
    if (wanted) this.violate("10", `node ${node} ends ${container.pod}, which should ${pod.desired} there`);
    if (pod?.desired !== "stop" || pod.node !== node) return;
    for (const { hostPort } of container.ports) {
      this.stopped.set(`${node}:${hostPort}`, { pod: container.pod, at: this.now() });
    }
  }

  /** An agent starts a container. */
  onStart(node: string, container: ContainerInfo): void {
    for (const { hostPort } of container.ports) this.stopped.delete(`${node}:${hostPort}`);
    if (this.over.has(container.pod)) {
      this.violate("2", `node ${node} starts ${container.pod}, which had stopped for good`);
    }
  }

  /** A proxy connects to a port of a node. */
  onAttempt(proxy: string, node: string, port: number): void {
    const found = this.stopped.get(`${node}:${port}`);
    if (found === undefined || this.now() - found.at < onTheWayMs) return;
    if (!this.conditions.isProxyClean(proxy, heardMs + this.now() - found.at)) return;
    this.stopped.delete(`${node}:${port}`);
    this.violate("7", `proxy ${proxy} still connects to ${found.pod} on ${node}, which was stopped`);
  }

  /** After everything: what was acknowledged must be in the log for good. */
  finish(): void {
    for (const [operation, sequence] of this.acknowledged) {
      if (this.operations.get(operation)?.includes(sequence) !== true) {
        this.violate("1", `operation ${operation}, acknowledged at ${sequence}, is not in the log any more`);
      }
    }
  }

  get acknowledgedCount(): number {
    return this.acknowledged.size;
  }
}

/** A change that found all as it should be writes no event; its answer names the end of the log. */
const isNothing = ({ results }: Accepted, seen: readonly number[] | undefined): boolean =>
  seen === undefined && results.every(({ note, action }) => note !== undefined || action !== "created");

function parse(data: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(data));
  } catch {
    return undefined;
  }
}
