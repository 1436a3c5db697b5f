// The checker: holds a plan's items against the invariants before they are written. Called before every append and after
// every plan in tests. It knows nothing of how plans are made, so that it catches their mistakes.
import type {
  EndpointRegistered,
  EndpointRemoved,
  EventItem,
  PodAssigned,
  PodPending,
  PodStopping,
} from "../../schemas/generated/types.ts";
import { limits } from "../bus/limits.ts";
import { checkAutoscale } from "./autoscale/check.ts";
import { fencedSpec } from "./fence.ts";
import {
  externalId,
  type Key,
  keyOf,
  type PodStateName,
  type ReadPod,
  type ReadState,
  type Template,
} from "./model.ts";
import { type Candidate, candidatesOf, hostPortsOf, take } from "./scheduler/room.ts";
import type { TermTime } from "./view.ts";
import { isDraining, isLive, isOver, mayFollow } from "./transitions.ts";

export interface Violation {
  /** Position in the items. */
  readonly index: number;
  /** Which invariant. */
  readonly code: string;
  readonly message: string;
}

/** Everything the items would break; empty when they may be written. Without `time` cooldowns are not looked at. */
export function check(state: ReadState, items: readonly EventItem[], time?: TermTime): Violation[] {
  const checker = new Checker(state, items);
  if (items.length > limits.eventItems) checker.violate(0, "TOO_MANY_ITEMS", `${items.length} items in one event`);
  for (const [index, item] of items.entries()) checker.item(index, item);
  checker.violations.push(...checkAutoscale(state, items, time));
  return checker.violations;
}

interface Nodes {
  readonly all: readonly Candidate[];
  readonly byId: ReadonlyMap<string, Candidate>;
}

class Checker {
  readonly violations: Violation[] = [];
  private readonly state: ReadState;
  private nodes: Nodes | null = null;
  private readonly slots = new Map<Key, Map<number, Key[]>>();
  /** What earlier items of the same event did. */
  private readonly states = new Map<Key, PodStateName>();
  private readonly made = new Map<Key, { slot: number; template: number; workload: Key }>();
  private readonly ended = new Set<Key>();
  /** Of them those that are over for good: removed or lost. */
  private readonly overs = new Set<Key>();
  private readonly registered = new Set<string>();

  /** Nodes the event removes: what runs there is forgotten with them. */
  private readonly leaving: ReadonlySet<string>;

  constructor(state: ReadState, items: readonly EventItem[]) {
    this.state = state;
    this.leaving = new Set(
      items.flatMap((item) => (item.kind === "node" && item.verb === "removed" ? [item.name] : [])),
    );
  }

  violate(index: number, code: string, message: string): void {
    this.violations.push({ index, code, message });
  }

  item(index: number, item: EventItem): void {
    if (item.kind === "node" && item.verb !== "registered" && !this.state.nodes.has(item.name)) {
      this.violate(index, "UNKNOWN_NODE", `node ${item.name} is not in the state`);
    }
    if (item.kind === "node" && item.verb === "removed") this.nodeRemoved(index, item.name);
    if (item.kind === "workload" && item.verb === "removed") this.removed(index, keyOf(item.namespace, item.name));
    if (item.kind === "endpoint") this.endpoint(index, item);
    if (item.kind !== "pod") return;
    const key = keyOf(item.namespace, item.name);
    if (item.verb === "assigned") this.assigned(index, key, item);
    else if (item.verb === "pending") this.make(key, item);
    else if (!this.state.pods.has(key)) this.violate(index, "UNKNOWN_POD", `pod ${key} is not in the state`);
    else if (item.verb === "removed") this.gone(index, key);
    else if (item.verb === "held") this.givenUp(index, key);
    else if (item.verb !== "drained") {
      this.move(index, key, item.verb);
      if (item.verb === "stopping") this.stopping(index, key, item);
      if (item.verb === "lost") {
        this.ended.add(key);
        this.overs.add(key);
        this.givenUp(index, key);
      }
    }
  }

  /** An endpoint needs its service, and a service has room for so many. */
  private endpoint(index: number, item: EndpointRegistered | EndpointRemoved): void {
    const service = this.state.services.get(keyOf(item.namespace, item.service));
    const id = externalId(item.namespace, item.service, item.name);
    const known = this.state.external.has(id) || this.registered.has(id);
    if (service === undefined) this.violate(index, "UNKNOWN_SERVICE", `endpoint ${id} is of no service`);
    else if (item.verb === "removed") {
      if (!known) this.violate(index, "UNKNOWN_ENDPOINT", `endpoint ${id} is not in the state`);
    } else if (!known) {
      this.registered.add(id);
      const made = [...this.registered].filter((each) => each.startsWith(`${keyOf(item.namespace, item.service)}/`));
      if (service.external.size + made.length > limits.externalEndpoints) {
        this.violate(index, "TOO_MANY_ENDPOINTS", `service ${item.service} has ${service.external.size} endpoints`);
      }
    }
  }

  /** A pod may only go where the table of states lets it. */
  private move(index: number, key: Key, to: PodStateName): void {
    const from = this.states.get(key) ?? this.state.pods.get(key)?.state;
    if (from !== undefined && !mayFollow(from, to)) {
      this.violate(index, "ILLEGAL_TRANSITION", `pod ${key} cannot go from ${from} to ${to}`);
    }
    this.states.set(key, to);
  }

  /** A pod is forgotten only when it cannot be running, or its workload was deleted with its node unheard. */
  private gone(index: number, key: Key): void {
    const pod = this.state.pods.get(key);
    this.ended.add(key);
    this.overs.add(key);
    if (pod === undefined || pod.node === null || this.leaving.has(pod.node)) return;
    const state = this.states.get(key) ?? pod.state;
    const abandoned = state === "lost" && this.state.workloads.get(pod.workload)?.deleting === true;
    if (state !== "stopped" && !abandoned) {
      this.violate(index, "REMOVED_ALIVE", `pod ${key} is ${state} on ${pod.node} and would be forgotten`);
    }
  }

  private removed(index: number, workload: Key): void {
    const left = [...(this.state.workloads.get(workload)?.pods ?? [])].filter((pod) => !this.ended.has(pod));
    if (left.length > 0) this.violate(index, "REMOVED_WITH_PODS", `workload ${workload} still has ${left.length} pods`);
  }

  /** Every pod of a removed node that goes with it is named: nothing disappears in silence. */
  private nodeRemoved(index: number, node: string): void {
    const stays = (key: Key): boolean => {
      const pod = this.state.pods.get(key);
      return pod !== undefined && isOver(pod);
    };
    const left = [...(this.state.nodes.get(node)?.pods ?? [])].filter((pod) => !this.ended.has(pod) && !stays(pod));
    if (left.length > 0) this.violate(index, "REMOVED_WITH_PODS", `node ${node} still has ${left.length} pods`);
  }

  private assigned(index: number, key: Key, item: PodAssigned): void {
    const workload = keyOf(item.namespace, item.workload);
    const record = this.state.workloads.get(workload);
    const template = record?.templates.get(item.template) as Template | undefined;
    const known = this.state.pods.get(key);
    if (record === undefined || template === undefined) {
      return this.violate(index, "UNKNOWN_TEMPLATE", `pod ${key} has no template ${item.template} in ${workload}`);
    }
    if (known !== undefined && known.node !== null) {
      this.violate(index, "ASSIGNED_TWICE", `pod ${key} is on ${known.node} already`);
    }
    this.move(index, key, "assigned");
    this.slotFree(index, key, item, workload);
    this.fenceKept(index, key, item, workload);
    this.make(key, item);
    this.roomFor(index, key, item.node, workload, template);
  }

  /**
   * At most one living pod of a template in a slot, and at most two templates during a change. One that is to leave a
   * draining node does not count: its copy must be ready before it may go.
   */
  private slotFree(index: number, key: Key, item: PodAssigned, workload: Key): void {
    const inSlot = this.othersInSlot(key, workload, item.slot);
    if (inSlot.some((template) => template === item.template)) {
      this.violate(index, "SLOT_TAKEN", `slot ${item.slot} of ${workload} has a living pod of this template`);
    }
  }

  /** A fenced pod is given a slot only when whatever was there is over, and nothing is put beside one. */
  private fenceKept(index: number, key: Key, item: PodAssigned, workload: Key): void {
    const record = this.state.workloads.get(workload);
    const isFenced = (template: number | undefined): boolean =>
      record?.templates.get(template ?? 0)?.spec.fence === true;
    for (const other of this.slotsOf(workload).get(item.slot) ?? []) {
      const pod = this.state.pods.get(other);
      if (other === key || this.overs.has(other) || pod?.node === null || pod?.ended === true || pod?.state === "lost")
        continue;
      if (isFenced(item.template) || isFenced(pod?.template ?? this.made.get(other)?.template)) {
        this.violate(index, "FENCE_BROKEN", `pod ${key} would run beside ${other}, and a fence forbids that`);
      }
    }
  }

  /** Only silence gives a pod up. */
  private givenUp(index: number, key: Key): void {
    const node = this.state.pods.get(key)?.node;
    const state = node === undefined || node === null ? undefined : this.state.nodes.get(node)?.state;
    if (state === "ready") this.violate(index, "LOST_HEARD", `pod ${key} would be given up though ${node} is heard`);
  }

  private othersInSlot(key: Key, workload: Key, slot: number): number[] {
    const templates: number[] = [];
    for (const other of this.slotsOf(workload).get(slot) ?? []) {
      const pod = this.state.pods.get(other);
      if (other === key || this.ended.has(other)) continue;
      if (pod === undefined) templates.push(this.made.get(other)?.template ?? 0);
      else if (isLive(pod) && !isDraining(this.state, pod)) templates.push(pod.template);
    }
    return templates;
  }

  /** Slot → pods that the state or an earlier item has in it. Made once: an event may place many pods of one workload. */
  private slotsOf(workload: Key): Map<number, Key[]> {
    const known = this.slots.get(workload);
    if (known !== undefined) return known;
    const slots = new Map<number, Key[]>();
    this.slots.set(workload, slots);
    for (const key of this.state.workloads.get(workload)?.pods ?? []) {
      const pod = this.state.pods.get(key);
      if (pod !== undefined) addTo(slots, pod.slot, key);
    }
    for (const [key, made] of this.made) {
      if (made.workload === workload && !this.state.pods.has(key)) addTo(slots, made.slot, key);
    }
    return slots;
  }

  /** A pod that an item makes, or gives a node. */
  private make(key: Key, item: PodAssigned | PodPending): void {
    const made = slotIdOf(item);
    const isNew = !this.made.has(key) && !this.state.pods.has(key);
    this.made.set(key, made);
    const slots = this.slots.get(made.workload);
    if (isNew && slots !== undefined) addTo(slots, made.slot, key);
  }

  private roomFor(index: number, key: Key, id: string, workload: Key, template: Template): void {
    this.nodes ??= indexed(candidatesOf(this.state));
    const { all: candidates, byId } = this.nodes;
    const candidate = byId.get(id);
    if (candidate === undefined) return this.violate(index, "UNKNOWN_NODE", `pod ${key} goes to no node: ${id}`);
    if (candidate.node.mode !== "active")
      this.violate(index, "NODE_CORDONED", `pod ${key} goes to cordoned node ${id}`);
    if (candidate.node.state !== "ready") this.violate(index, "NODE_UNHEARD", `pod ${key} goes to unheard node ${id}`);
    else if (candidate.node.reason !== "")
      this.violate(index, "NODE_TROUBLED", `pod ${key} goes to ${id}, which cannot start it: ${candidate.node.reason}`);
    if (template.hostPorts.some((port) => hostPortsOf(this.state, candidates, candidate).has(port))) {
      this.violate(index, "HOST_PORT_TAKEN", `pod ${key} needs a hostPort that is taken on ${id}`);
    }
    take(this.state, candidates, candidate, workload, template);
    const { cpuMillis, memoryBytes, pods } = candidate.node.facts.capacity;
    const cpuOver = template.requests.cpuMillis > 0 && candidate.reserved.cpuMillis > cpuMillis;
    const memoryOver = template.requests.memoryBytes > 0 && candidate.reserved.memoryBytes > memoryBytes;
    if (cpuOver || memoryOver || candidate.pods > pods) {
      this.violate(index, "OVER_CAPACITY", `pod ${key} does not fit on ${id}`);
    }
  }

  /** A template change takes a serving pod out only for a ready successor in its slot (or for its fixed port). */
  private stopping(index: number, key: Key, item: PodStopping): void {
    const pod = this.state.pods.get(key);
    this.ended.add(key);
    if (pod === undefined || pod.state !== "ready") return;
    if (item.reason === "NODE_DRAINED") return this.drained(index, key, pod);
    if (item.reason !== "TEMPLATE_CHANGED") return;
    const workload = this.state.workloads.get(pod.workload);
    if ((workload?.template.hostPorts.length ?? 0) > 0) return;
    if (workload?.template.spec.fence === true || fencedSpec(this.state, pod) !== null) return;
    const successor = [...(workload?.pods ?? [])].some((other) => this.succeeds(other, pod));
    if (!successor) this.violate(index, "BELOW_READY", `pod ${key} would stop without a ready successor`);
  }

  /** A drain takes a serving pod out only for one in its slot that is ready and stays. */
  private drained(index: number, key: Key, pod: ReadPod): void {
    if (fencedSpec(this.state, pod) !== null) return;
    const copy = [...(this.state.workloads.get(pod.workload)?.pods ?? [])].some((other) => {
      const record = this.state.pods.get(other);
      if (other === key || record === undefined || record.slot !== pod.slot || this.ended.has(other)) return false;
      const serves = record.state === "ready" || record.state === "stopped";
      return isLive(record) && serves && !isDraining(this.state, record);
    });
    if (!copy) this.violate(index, "BELOW_READY", `pod ${key} would leave its node without a ready copy`);
  }

  private succeeds(other: Key, pod: ReadPod): boolean {
    const next = this.state.pods.get(other);
    const done = (next?.state === "ready" && !next.unheard) || next?.state === "stopped";
    return next !== undefined && next.slot === pod.slot && next.template !== pod.template && isLive(next) && done;
  }
}

const indexed = (all: readonly Candidate[]): Nodes => ({
  all,
  byId: new Map(all.map((candidate) => [candidate.node.id, candidate])),
});

function addTo(slots: Map<number, Key[]>, slot: number, key: Key): void {
  const keys = slots.get(slot);
  if (keys === undefined) slots.set(slot, [key]);
  else keys.push(key);
}

const slotIdOf = (item: {
  namespace: string;
  workload: string;
  slot: number;
  template: number;
}): { slot: number; template: number; workload: Key } => ({
  slot: item.slot,
  template: item.template,
  workload: keyOf(item.namespace, item.workload),
});
