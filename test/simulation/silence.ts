// What events say of nodes that are not heard, and of the pods that are given up with them, held against what was wrong.
import type { EventItem } from "../../schemas/generated/types.ts";
import { limits } from "../../services/bus/limits.ts";
import type { Key, State } from "../../services/core/model.ts";
import { parseDurationMs } from "../../services/core/quantity.ts";
import type { Troubles } from "./troubles.ts";

/** A node may be called unheard only when something disturbed it, or the bus, this recently. */
const cleanMs = 12_000;
/** A leader with no other trouble hears all that nodes send, if only after it stood still. */
const still: ReadonlySet<string> = new Set(["slow", "pause", "clockJump"]);
/** Those in which messages take no longer than usual. */
const muted: ReadonlySet<string> = new Set(["mute"]);
const quick: ReadonlySet<string> = new Set(["pause", "clockJump"]);
/**
 * A node with such troubles keeps its connection, and could answer a ping when they are over. One that hears nothing gives its
 * connection up after a while, and the server hears that: then nobody is there to be asked.
 */
const late: ReadonlySet<string> = new Set(["slow", "pause", "clockJump", "cut", "cutUp"]);
/** A silent node is asked, and has this long to answer. */
const pingMs = 600;
/** Two looks at a clock, and a message on its way. */
const blurMs = 400;
/** A heartbeat may cross the event that says its node is not heard … */
const crossingMs = 100;
/** … or reach a leader this late which the event leaves as slowly. */
const slowCrossingMs = 2000;
/** Heartbeats that are remembered: those of `slowCrossingMs`, and the one before. */
const mostBeats = 4;
/** More nodes than this share silent at once may be a fault of ours, and are waited for this long (decision 5). */
const massShare = 0.3;
const massHoldMs = 290_000;
/** A shorter stall of its own is none to a leader. */
const stallMs = 1000;
/** What a new leader's reckoning of time may differ from the one before it. */
const slackMs = 1500;

export class Silence {
  private readonly now: () => number;
  private readonly troubles: Troubles;
  private readonly violate: (message: string) => void;
  /** Node → when it was first called unheard for itself. */
  private readonly unheardSince = new Map<string, { readonly at: number; readonly eventTime: number }>();
  /** Node → when its last heartbeats came to the server, the latest first; what came together counts as one. */
  private readonly beats = new Map<string, number[]>();
  /** Node → when an event last said that it is heard. */
  private readonly saidHeard = new Map<string, number>();
  /** Nodes that are said to be unheard. */
  private readonly unheard = new Set<string>();

  constructor(now: () => number, troubles: Troubles, violate: (message: string) => void) {
    this.now = now;
    this.troubles = troubles;
    this.violate = violate;
  }

  /** A heartbeat came to the server. */
  onBeat(node: string): void {
    const now = this.now();
    const beats = this.beats.get(node);
    if (beats === undefined) this.beats.set(node, [now]);
    // What a link held back comes all at once.
    else if (now - (beats[0] as number) < crossingMs) beats[0] = now;
    else if (beats.unshift(now) > mostBeats) beats.pop();
  }

  /** When the node was last heard by the server, or said to be by a leader; undefined when it never was. */
  heardAt(node: string): number | undefined {
    const [beat] = this.beats.get(node) ?? [];
    const said = this.saidHeard.get(node);
    return beat === undefined || said === undefined ? undefined : Math.max(beat, said);
  }

  /** When the node was first called unheard for itself, and for nothing else since. */
  unheardAt(node: string): number | undefined {
    return this.unheardSince.get(node)?.at;
  }

  /** An event says something of a node. When it comes says nothing where records come again. */
  onNode(state: State, item: Extract<EventItem, { kind: "node" }>, sequence: number, isReplaying: boolean): void {
    const { name, verb } = item;
    // What people want of it says nothing of whether it is heard.
    if (verb === "cordoned" || verb === "draining" || verb === "uncordoned") return;
    const reason = verb === "unknown" ? item.reason : undefined;
    if (reason !== "NODE_UNHEARD") this.unheardSince.delete(name);
    else if (!this.unheardSince.has(name)) this.unheardSince.set(name, { at: this.now(), eventTime: state.time });
    if (verb !== "unknown") this.saidHeard.set(name, this.now());
    if (verb !== "unknown") this.unheard.delete(name);
    else if (!this.unheard.has(name)) {
      this.unheard.add(name);
      if (!isReplaying) this.calledUnheard(state.leader, name, reason, sequence);
    }
  }

  /** A node counts as unheard after four seconds of silence and a ping that it did not answer, not counting time in which the leader stood still. */
  private calledUnheard(leader: string, node: string, reason: string | undefined, sequence: number): void {
    const { troubles } = this;
    if (!troubles.isClean("bus", cleanMs)) return;
    const isWell = troubles.isClean(node, cleanMs);
    // One whose heartbeats get lost answers when it is asked.
    const answers = troubles.isClean(node, cleanMs, muted) && troubles.isClean(leader, cleanMs);
    if (reason === "NODE_UNHEARD" && (isWell || answers)) {
      const what = isWell ? "nothing was wrong" : "it answers pings";
      this.violate(`event ${sequence}: node ${node} is called unheard though ${what}`);
    }
    // Of two agents under one id a leader heeds one alone.
    if (troubles.lasted(node, "doubled", this.now() - cleanMs) > 0) return;
    const beats = this.beats.get(node);
    if (beats === undefined || !troubles.isClean(leader, cleanMs, still)) return;
    const crossing = troubles.isClean(leader, cleanMs, quick) ? crossingMs : slowCrossingMs;
    const heard = beats.find((at) => this.now() - at >= crossing) ?? -Infinity;
    const stalled = troubles.lasted(leader, "pause", heard, stallMs);
    const silence = this.now() - heard - stalled;
    const least = limits.nodeUnheardMs + (troubles.isClean(node, cleanMs, late) ? pingMs : 0) - blurMs;
    if (silence >= least) return;
    this.violate(`event ${sequence}: node ${node} is called unheard after ${Math.round(silence)} ms of silence`);
  }

  /** Pods are given up only while most nodes are heard, or after the hold. */
  onLost({ nodes, time, pods, workloads }: State, key: Key, sequence: number): void {
    const pod = pods.get(key);
    const lostAfter = workloads.get(pod?.workload ?? "")?.spec.lostAfter ?? "15s";
    const since = this.unheardSince.get(pod?.node ?? "") ?? { at: -Infinity, eventTime: -Infinity };
    // An event may get into the log seconds after it was decided, and a leader's clock may jump: the longer one counts.
    const waited = Math.max(this.now() - since.at, time - since.eventTime);
    if (waited < parseDurationMs(lostAfter) - limits.nodeUnheardMs - slackMs) {
      this.violate(`event ${sequence}: ${key} is given up ${Math.round(waited)} ms after its node fell silent`);
    }
    const silent = [...nodes.values()].filter(({ state }) => state === "unknown");
    if (silent.length < 2 || silent.length <= nodes.size * massShare) return;
    const longest = Math.max(...silent.map(({ since }) => time - since));
    if (longest >= massHoldMs) return;
    this.violate(`event ${sequence}: a pod is given up though ${silent.length} nodes fell silent at once`);
  }
}
