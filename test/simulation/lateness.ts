// How soon a cluster notices where nothing keeps it from it: that a node is silent, that its pods are to be given up, and that
// nobody leads.
import { fencedSpec, fenceWaitMs } from "../../services/core/fence.ts";
import type { NodeRecord, PodRecord, ReadState, State } from "../../services/core/model.ts";
import { parseDurationMs } from "../../services/core/quantity.ts";
import { isOver } from "../../services/core/transitions.ts";
import type { Silence } from "./silence.ts";
import type { Troubles } from "./troubles.ts";

/** Between two looks. */
const lookMs = 1000;
/** A silent node is called so within five seconds, and what says so is in the log this much later. */
const unheardMs = 5000 + 500;
/** It fell silent so long before, which counts … */
const silentMs = 4000;
/** … and others that fell silent with it are called so within this, also by a leader that has just begun. */
const toldMs = 6500;
/** Its pods are given up, or held, with the next plan … */
const givenUpMs = 3000;
/** … so many in each second. */
const perSecond = 20;
/** As many nodes as that silent at once are waited for longer. */
const massShare = 0.3;
/** Another leads so soon: 2.5 s until the last one is missed, an election, and a look at the log's end. */
const ledMs = 5000;
/** What was wrong shortly before may have an effect still. */
const beforeMs = 10_000;
/** A node with no other trouble than these does not answer while it is silent. */
const silencing: ReadonlySet<string> = new Set([
  "kill",
  "stop",
  "wipe",
  "upgrade",
  "pause",
  "cut",
  "cutUp",
  "crash",
  "crashAlone",
  "killContainers",
  "engineDown",
  "engineHangs",
  "engineFlaky",
  "diskFull",
]);
/** Who ends, stands still or starts keeps no other from leading. */
const away: ReadonlySet<string> = new Set(["kill", "stop", "wipe", "upgrade", "pause", "resign"]);

/** A controller; its state is what it has folded itself. */
export interface Candidate {
  readonly name: string;
  readonly leads: boolean;
  readonly view:
    | {
        /** It waits for its update, and does not stand. */
        readonly isIdle: boolean;
        readonly state: Pick<ReadState, "accepted">;
      }
    | undefined;
}

export class Lateness {
  private readonly now: () => number;
  private readonly troubles: Troubles;
  private readonly silence: Silence;
  private readonly violate: (message: string) => void;
  /** What should have been done → since when. */
  private due = new Map<string, number>();
  private epoch = 0;
  /** When the term was first seen. */
  private begunAt = 0;
  /** When somebody was last seen to lead. */
  private ledAt = 0;

  constructor(now: () => number, troubles: Troubles, silence: Silence, violate: (message: string) => void) {
    this.now = now;
    this.troubles = troubles;
    this.silence = silence;
    this.violate = violate;
  }

  /** To be called each second. `isKept`: the log lost nothing for long. */
  look(state: State, candidates: readonly Candidate[], isKept: boolean): void {
    if (state.epoch !== this.epoch || !isKept) this.begunAt = this.now();
    this.epoch = state.epoch;
    this.failover(state, candidates);
    const due = new Map<string, number>();
    const silent: NodeRecord[] = [];
    for (const node of state.nodes.values()) {
      if (node.state === "ready") this.unheard(state, node);
      else silent.push(node);
    }
    const isMass = silent.length > 1 && silent.length > state.nodes.size * massShare;
    if (!isMass) this.given(state, silent, due);
    this.due = due;
  }

  private isClean(place: string, since: number, harmless?: ReadonlySet<string>): boolean {
    return this.troubles.isClean(place, this.now() - since + beforeMs, harmless);
  }

  /** At one look alone, what began then lasts for longer. */
  private isOnce(since: number, ms: number): boolean {
    const lasted = this.now() - since - ms;
    return lasted > 0 && lasted <= lookMs;
  }

  /** A node that is taken to be heard. */
  private unheard({ leader }: State, { id }: NodeRecord): void {
    const heardAt = this.silence.heardAt(id);
    const since = Math.max(heardAt ?? Infinity, this.begunAt);
    if (!this.isOnce(since, unheardMs)) return;
    if (![leader, "bus"].every((place) => this.isClean(place, since)) || !this.isClean(id, since, silencing)) return;
    this.violate(`node ${id} is not called unheard, though it was silent for ${Math.round(this.now() - since)} ms`);
  }

  /** The pods of nodes that are not heard. */
  private given(state: State, silent: readonly NodeRecord[], due: Map<string, number>): void {
    const count = silent.reduce((sum, { pods }) => sum + pods.size, 0);
    const most = givenUpMs + (count / perSecond) * 1000;
    for (const { id, reason, pods } of silent) {
      const since = Math.max(this.silence.unheardAt(id) ?? Infinity, this.begunAt);
      const waited = this.now() - since;
      if (reason !== "NODE_UNHEARD" || waited < toldMs) continue;
      if (![state.leader, "bus"].every((place) => this.isClean(place, since))) continue;
      for (const key of pods) {
        const pod = state.pods.get(key);
        if (pod === undefined || isSettled(state, pod) || waited < waitOf(state, pod)) continue;
        const dueAt = this.due.get(key) ?? this.now();
        due.set(key, dueAt);
        if (!this.isOnce(dueAt, most)) continue;
        this.violate(`${key} is not given up, though ${id} is unheard for ${Math.round(waited)} ms`);
      }
    }
  }

  private failover({ logId, accepted }: State, candidates: readonly Candidate[]): void {
    const now = this.now();
    const isStill = (name: string): boolean => this.troubles.lasted(name, "pause", now - 1) > 0;
    if (logId === "" || candidates.some(({ name, leads }) => leads && !isStill(name))) this.ledAt = now;
    const since = Math.max(this.ledAt, this.begunAt);
    if (now - since <= ledMs) return;
    if (!this.isClean("bus", since) || !candidates.every(({ name }) => this.isClean(name, since, away))) return;
    const able = candidates.find(
      ({ name, view }) => view?.isIdle === false && view.state.accepted === accepted && this.isClean(name, since),
    );
    if (able === undefined) return;
    this.violate(`nobody leads for ${Math.round(now - since)} ms, though ${able.name} has read all of the log`);
    this.ledAt = now;
  }
}

/** Given up, over or waiting for the node. */
function isSettled({ workloads }: State, pod: PodRecord): boolean {
  if (pod.state === "lost" || pod.state === "stopped" || isOver(pod)) return true;
  return pod.held !== null && workloads.get(pod.workload)?.spec.onNodeLost === "hold";
}

/** How long a pod is waited for once its node is called unheard, whatever a leader knows of those before it. */
function waitOf(state: State, pod: PodRecord): number {
  const lostAfter = parseDurationMs(state.workloads.get(pod.workload)?.spec.lostAfter ?? "15s");
  const fenced = fencedSpec(state, pod);
  return Math.max(lostAfter - silentMs, toldMs, fenced === null ? 0 : fenceWaitMs(fenced, true));
}
