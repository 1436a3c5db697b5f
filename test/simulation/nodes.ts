// What the cluster makes of nodes that are removed and come back, of two agents under one id, and of machines that changed.
import type { EventItem } from "../../schemas/generated/types.ts";
import type { LogFields } from "../../services/kernel/log.ts";
import { same } from "../../services/core/same.ts";
import { controllerNames } from "./faults.ts";
import type { Observer } from "./observer.ts";
import type { Troubles } from "./troubles.ts";
import type { AgentProcess } from "./world/agent.ts";

/** These keep no agent from being heard. */
const heard: ReadonlySet<string> = new Set(["nodeRemoved", "nodeForced", "doubled", "killContainers"]);
/** A removed node's agent knows of it within this, where it is heard. */
const toldMs = 6000;
/** One that follows a leader whom the log lost learns it when that is certain, which several servers are after some 22 s. */
const doubtedMs = 30_000;
/** Of two agents under one id the older speaks up with its next heartbeat; what was said is not said again for a minute. */
const warnedMs = 6000;
const againMs = 75_000;
/** A leader that has just begun has heard nobody. */
const begunMs = 15_000;
/** With nothing wrong, an agent registers within twenty seconds of a removal, and new facts are known at once. */
const registeredMs = 40_000;
const factsMs = 15_000;
/** Pods are looked at anew by an agent that started, and reported. */
const addressesMs = 40_000;

export class Nodes {
  private readonly observer: Observer;
  private readonly troubles: Troubles;
  private readonly now: () => number;
  /** Node → its removal, which its agent is not known to have heard of. */
  private readonly removed = new Map<string, { readonly sequence: number; readonly at: number; isTold: boolean }>();
  /** Node → a second agent under its id. */
  private readonly clones = new Map<string, { readonly clone: AgentProcess; readonly at: number }>();
  private losses = 0;
  /** Node → when a leader last said that two speak for it. */
  private readonly warned = new Map<string, number>();

  constructor(observer: Observer, troubles: Troubles, now: () => number) {
    this.observer = observer;
    this.troubles = troubles;
    this.now = now;
    observer.lookers.push((item, sequence) => this.onItem(item, sequence));
  }

  /** An event says something. */
  private onItem(item: EventItem, sequence: number): void {
    if (item.kind !== "node" || this.observer.isReplaying) return;
    if (item.verb === "removed") this.removed.set(item.name, { sequence, at: this.now(), isTold: false });
  }

  /** A node wrote down what it was told. */
  onAssignment(node: string, generation: number): void {
    const removed = this.removed.get(node);
    if (removed !== undefined && generation >= removed.sequence) removed.isTold = true;
  }

  /** A second agent starts under that id; the returned function says that it is over. */
  onClone(node: string, clone: AgentProcess, at: number): () => void {
    // Of three the first two are enough to be said.
    if (this.clones.has(node)) return () => {};
    this.clones.set(node, { clone, at });
    return () => void this.clones.delete(node);
  }

  /** A process says something in its log. */
  onSaid({ code, node }: LogFields): void {
    if (code === "NODE_ID_DOUBLED" && typeof node === "string") this.warned.set(node, this.now());
  }

  /** To be called from time to time. */
  look(agents: readonly AgentProcess[]): void {
    const isLed = (ms: number): boolean =>
      ["bus", ...controllerNames].every((place) => this.troubles.isClean(place, ms));
    const isHeard = (node: string, ms: number): boolean => this.troubles.isClean(node, ms, heard);
    // A removal may be among what the log lost.
    if (this.losses < this.observer.losses.length) this.removed.clear();
    this.losses = this.observer.losses.length;
    if (!isLed(warnedMs)) return;
    for (const [node, { at, isTold }] of this.removed) {
      // Of two agents under one id the one that does not speak for it asks by itself.
      const known = this.losses > 0 || this.clones.has(node) ? doubtedMs : toldMs;
      const ms = this.now() - at;
      if (isTold || ms < known || !isHeard(node, 2 * known) || !isLed(2 * known)) continue;
      this.observer.violate("2", `node ${node} was removed ${Math.round(ms)} ms ago, and its agent does not know`);
      this.removed.delete(node);
    }
    for (const [node, { clone, at }] of this.clones) {
      const since = this.now() - at;
      if (since < warnedMs || !clone.isUp || !isHeard(node, since) || !isLed(since + begunMs)) continue;
      if (this.now() - (this.warned.get(node) ?? -Infinity) < againMs) continue;
      this.observer.violate("node", `two agents run as ${node} for ${Math.round(since)} ms, and no leader says so`);
      this.clones.delete(node);
    }
    for (const agent of agents) {
      const isAlone = !this.clones.has(agent.name) && this.troubles.isClean(agent.name, factsMs);
      if (isAlone && agent.isUp) this.known(agent, isLed);
    }
  }

  /** What is known of a node whose agent nothing disturbs. */
  private known({ name, facts }: AgentProcess, isLed: (ms: number) => boolean): void {
    const { observer, troubles } = this;
    const node = observer.state.nodes.get(name);
    const isCalm = (ms: number): boolean => isLed(ms) && troubles.isClean(name, ms);
    if (node === undefined) {
      const ms = this.now() - (this.removed.get(name)?.at ?? -Infinity);
      if (ms > registeredMs && isCalm(registeredMs))
        observer.violate("node", `node ${name} is not registered, though its agent is there`);
      return;
    }
    const { engine: _, ...knownFacts } = node.facts;
    if (isCalm(factsMs) && !same(knownFacts, facts))
      observer.violate("node", `node ${name} is ${JSON.stringify(knownFacts)}, not ${JSON.stringify(facts)}`);
    if (!isCalm(addressesMs)) return;
    for (const key of node.pods) {
      const pod = observer.state.pods.get(key);
      const other = pod?.state === "ready" ? pod.addresses.find(({ host }) => host !== facts.advertise) : undefined;
      if (other !== undefined)
        observer.violate("node", `pod ${key} is ready at ${other.host}, and ${name} is at ${facts.advertise}`);
    }
  }

  /** Nodes whose agents are there are registered. */
  unsettled(agents: readonly AgentProcess[]): string[] {
    const { nodes } = this.observer.state;
    return agents.flatMap(({ name }) => (nodes.has(name) ? [] : [`node ${name} is not registered`]));
  }
}
