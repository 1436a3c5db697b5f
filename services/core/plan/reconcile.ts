// Reconcile: from the pods a workload has to the pods it should have. New pods are placed in the same plan.
import type { EventItem } from "../../../schemas/generated/types.ts";
import { type Key, keyOf, type ReadPod, type ReadState, type ReadWorkload, type Template } from "../model.ts";
import { podNumber } from "../fold/pod.ts";
import { type Candidate, candidatesOf, countPods, take } from "../scheduler/room.ts";
import type { Ranking } from "../scheduler/ranking.ts";
import { rank, refusal } from "../scheduler/schedule.ts";
import { fencedSpec, isStuck } from "../fence.ts";
import { isLive } from "../transitions.ts";
import { stopItem } from "./stop.ts";

/** A pod wished for: a slot and the template it is made from. */
export interface NewPod {
  readonly slot: number;
  readonly template: Template;
}

/** The pods of a workload, sorted into slots. */
export interface Slots {
  /** Slot → living pods, oldest first. */
  readonly live: ReadonlyMap<number, readonly ReadPod[]>;
  /** Slots whose pod is still on its way out; not used again before it is gone. */
  readonly leaving: ReadonlySet<number>;
  /**
   * Those of them that count against the wished replicas, since no successor is made: fenced pods never run beside one, whatever
   * the slot. A slot whose next pod is there already counts by that alone.
   */
  readonly blocking: ReadonlySet<number>;
  /** True while one on its way out will be gone soon: its node is not one that is waited for, however long. */
  readonly isReleasing: boolean;
}

export function slotsOf(state: ReadState, workload: ReadWorkload): Slots {
  const live = new Map<number, ReadPod[]>();
  const leaving = new Set<number>();
  const blocking = new Set<number>();
  let isReleasing = false;
  const pods: { readonly pod: ReadPod; readonly number: number }[] = [];
  for (const key of workload.pods) {
    const pod = state.pods.get(key);
    if (pod !== undefined) pods.push({ pod, number: podNumber(pod.name) });
  }
  for (const { pod } of pods.sort((a, b) => a.number - b.number)) {
    if (isLive(pod)) {
      const slot = live.get(pod.slot);
      if (slot === undefined) live.set(pod.slot, [pod]);
      else slot.push(pod);
    } else if (pod.state !== "lost") {
      leaving.add(pod.slot);
      if (!isStuck(state, pod)) isReleasing = true;
      if (mayNotBeJoined(state, workload, pod)) blocking.add(pod.slot);
    }
  }
  for (const slot of live.keys()) blocking.delete(slot);
  return { live, leaving, blocking, isReleasing };
}

/** True for a pod that must be gone before another takes its place: one of the two is fenced, or its node is waited for. */
const mayNotBeJoined = (state: ReadState, workload: ReadWorkload, pod: ReadPod): boolean =>
  workload.template.spec.fence === true || fencedSpec(state, pod) !== null || isStuck(state, pod);

/** Slots above the wished count, worst first: without a ready pod, then the newest. */
export function surplus(state: ReadState, workload: ReadWorkload, slots: Slots): EventItem[] {
  const excess = slots.live.size - (workload.spec.replicas ?? 1);
  if (excess <= 0) return [];
  const readiness = (pods: readonly ReadPod[]): number =>
    pods.some((pod) => pod.state === "ready" && !pod.unheard) ? 1 : 0;
  const newest = (pods: readonly ReadPod[]): number => Math.max(...pods.map((pod) => podNumber(pod.name)));
  const ordered = [...slots.live.values()].toSorted((a, b) => readiness(a) - readiness(b) || newest(b) - newest(a));
  const message = `Scaled to ${workload.spec.replicas ?? 1}.`;
  return ordered.slice(0, excess).flatMap((pods) => pods.map((pod) => stopItem(state, pod, "SCALED_DOWN", message)));
}

/** Slots without a living pod, up to the wished count. */
export function missing(state: ReadState, workload: ReadWorkload, slots: Slots): NewPod[] {
  const count = (workload.spec.replicas ?? 1) - slots.live.size - slots.blocking.size;
  const template = healingTemplate(workload);
  const wanted: NewPod[] = [];
  for (let slot = 0; wanted.length < count; slot++) {
    if (!slots.live.has(slot) && !slots.leaving.has(slot)) wanted.push({ slot, template });
  }
  // Of slots above the count some are just being given up.
  return count < 0 ? [] : [...wanted, ...unserved(state, workload, slots, template)];
}

/**
 * While a change is halted, slots that have nothing but pods that do not come to work, as when the old one went with its node, or
 * the count grew during the change: beside them, one of the template that has been ready.
 */
function unserved(state: ReadState, workload: ReadWorkload, slots: Slots, template: Template): NewPod[] {
  const { generation } = template;
  const isAlone = template.hostPorts.length > 0 || template.spec.fence === true;
  if (generation === workload.template.generation || isAlone) return [];
  const mayBeJoined = (pod: ReadPod): boolean =>
    pod.template !== generation && isBroken(pod) && fencedSpec(state, pod) === null;
  return [...slots.live].filter(([, pods]) => pods.every(mayBeJoined)).map(([slot]) => ({ slot, template }));
}

/** Broken pods of a halted change that hold room while one of the template that was ready waits for a node beside them. */
export function inTheWay(state: ReadState, workload: ReadWorkload, slots: Slots): EventItem[] {
  const { generation } = healingTemplate(workload);
  if (generation === workload.template.generation) return [];
  const message = "It does not come to work, and makes room for a pod of the template that was ready.";
  return [...slots.live.values()].flatMap((pods) => {
    if (!pods.some((pod) => pod.template === generation && pod.state === "pending")) return [];
    return pods
      .filter((pod) => pod.template !== generation && pod.node !== null && isBroken(pod))
      .map((pod) => stopItem(state, pod, "TEMPLATE_CHANGED", message));
  });
}

/** It was never ready, or ends again and again; one that did its work is not. */
const isBroken = (pod: ReadPod): boolean =>
  pod.state !== "stopped" && (!pod.wasReady || pod.state === "failed" || (pod.state === "backoff" && pod.restarts > 0));

/** While a change is halted, lost pods come back from the newest template that has been ready, not from the broken one. */
const healingTemplate = ({ halted, template, templates }: ReadWorkload): Template =>
  (templates.get(halted?.from ?? template.generation) ?? template) as Template;

/** Why a pod finds no node. */
export interface Refusal {
  readonly reason: string;
  readonly message: string;
}

/** Places new and pending pods, one after the other, each seeing the room the ones before it took. */
export class Placer {
  readonly items: EventItem[] = [];
  private readonly state: ReadState;
  private readonly room: number;
  private candidates: readonly Candidate[] | null = null;
  private readonly byId = new Map<string, Candidate>();
  /** Workloads whose pods the candidates have counted. */
  private readonly counted = new Set<Key>();
  private counter: number;
  /** The order of nodes for the pods placed last, good until pods of something else are. */
  private run: { readonly id: string; readonly ranking: Ranking } | null = null;
  /** A template that found no node will find none for its next pod either. */
  private readonly refused = new Map<string, Refusal>();

  /** At most `room` items are made. */
  constructor(state: ReadState, room: number) {
    this.state = state;
    this.room = room;
    this.counter = state.podCounter;
  }

  get full(): boolean {
    return this.items.length >= this.room;
  }

  /** A pod that does not exist yet. */
  create(workload: ReadWorkload, { slot, template }: NewPod): void {
    if (this.full) return;
    this.counter += 1;
    this.add(workload, template, slot, `${workload.name}-${this.counter}`, null);
  }

  /** A copy of a pod that is to leave its node; without room for it nothing is made, and the refusal is returned. */
  move(workload: ReadWorkload, { slot, template }: NewPod): Refusal | null {
    if (this.full) return null;
    const found = this.find(workload, keyOf(workload.namespace, workload.name), template, slot);
    if (!("node" in found)) return found;
    this.counter += 1;
    const { namespace, name } = workload;
    this.items.push({
      kind: "pod",
      verb: "assigned",
      namespace,
      name: `${name}-${this.counter}`,
      workload: name,
      slot,
      template: template.generation,
      node: found.node,
    });
    return null;
  }

  /** Why there would be no node for the pod; null when there is one. What it would take counts as taken in this plan. */
  fits(workload: ReadWorkload, { slot, template }: NewPod): Refusal | null {
    const found = this.find(workload, keyOf(workload.namespace, workload.name), template, slot);
    return "node" in found ? null : found;
  }

  /** A pod that waits for a node; nothing is said when nothing changed. */
  retry(workload: ReadWorkload, pod: ReadPod): void {
    const template = workload.templates.get(pod.template) as Template | undefined;
    if (this.full || template === undefined) return;
    this.add(workload, template, pod.slot, pod.name, pod);
  }

  private add(workload: ReadWorkload, template: Template, slot: number, name: string, pod: ReadPod | null): void {
    const key = keyOf(workload.namespace, workload.name);
    const found = this.find(workload, key, template, slot);
    const base = {
      kind: "pod" as const,
      namespace: workload.namespace,
      name,
      workload: workload.name,
      slot,
      template: template.generation,
    };
    if ("node" in found) this.items.push({ ...base, verb: "assigned", node: found.node });
    else if (pod === null || pod.reason !== found.reason || pod.message !== found.message) {
      this.items.push({ ...base, verb: "pending", reason: found.reason, message: found.message });
    }
  }

  /**
   * Looks at the nodes as if the pod that holds the slot now were gone: in a template change it leaves when its successor
   * is ready, and counting both would push the successor to another node and leave the workload lopsided.
   */
  private besides<T>(workload: ReadWorkload, slot: number, look: (counted: boolean) => T): T {
    const key = keyOf(workload.namespace, workload.name);
    const held: Candidate[] = [];
    // With one template no slot has two pods, and large workloads need not be searched.
    for (const podKey of workload.templates.size > 1 ? workload.pods : []) {
      const pod = this.state.pods.get(podKey);
      if (pod === undefined || pod.slot !== slot || !isLive(pod) || pod.node === null || pod.ended) continue;
      const candidate = this.byId.get(pod.node);
      if (candidate !== undefined) held.push(candidate);
    }
    const count = (candidate: Candidate, change: number): void =>
      void candidate.perWorkload.set(key, (candidate.perWorkload.get(key) ?? 0) + change);
    for (const candidate of held) count(candidate, -1);
    const answer = look(held.length > 0);
    for (const candidate of held) count(candidate, 1);
    return answer;
  }

  private nodesFor(workload: Key, template: Template): readonly Candidate[] {
    if (this.candidates === null) {
      this.candidates = candidatesOf(this.state);
      for (const candidate of this.candidates) this.byId.set(candidate.node.id, candidate);
    }
    for (const key of [workload, template.networkOf]) {
      if (key === null || key === undefined || this.counted.has(key)) continue;
      this.counted.add(key);
      countPods(this.state, this.byId, key);
    }
    return this.candidates;
  }

  private find(workload: ReadWorkload, key: Key, template: Template, slot: number): { node: string } | Refusal {
    const id = `${key}@${template.generation}`;
    const known = this.refused.get(id);
    if (known !== undefined) return known;
    const candidates = this.nodesFor(key, template);
    const found = this.besides(workload, slot, (counted) => {
      const ranking = counted ? null : this.run?.id === id ? this.run.ranking : null;
      const nodes = ranking ?? rank(this.state, candidates, key, template, workload.spec.placement);
      // One that left out what the slot's pod holds is good for this pod alone.
      this.run = counted ? null : { id, ranking: nodes };
      return nodes.best();
    });
    if (found === null) {
      const reasons = refusal(this.state, candidates, template);
      this.refused.set(id, reasons);
      return reasons;
    }
    take(this.state, candidates, found, key, template);
    this.run?.ranking.changed();
    return { node: found.node.id };
  }
}
