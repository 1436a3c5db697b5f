// What nodes were told to run, as their journals have it, and which of it the log lost since.
import type { ContainerInfo } from "../../services/agent/runtime/driver.ts";
import { keyOf } from "../../services/core/model.ts";
import type { ReadPod, State } from "../../services/core/model.ts";
import { mayBeSameTemplate } from "../../services/core/template.ts";

/** An assignment as an agent saves it. */
export interface Assignment {
  readonly logId: string;
  readonly epoch: number;
  readonly generation: number;
  readonly items: readonly {
    readonly namespace: string;
    readonly name: string;
    readonly desired: string;
    readonly containers: readonly unknown[];
  }[];
}

/** A log lost what came after a record; the leader was of this epoch then. */
export interface Loss {
  readonly logId: string;
  readonly left: number;
  readonly epoch: number;
}

interface Held {
  readonly told: Assignment;
  /** When the node wrote it down, and what it held until then. */
  readonly at: number;
  readonly before: Assignment | undefined;
}

/** A call to an engine is on its way for up to 3 ms, and looks first: what was told meanwhile comes too late for it. */
const underWayMs = 10;

export class Orders {
  private readonly now: () => number;
  private readonly violate: (message: string) => void;
  private readonly held = new Map<string, Held>();
  /** `node log`: the node was told something of that log. */
  private readonly followed = new Set<string>();
  /** Node → the newest leader that it has followed and knows nothing of any more, by epoch. */
  private readonly wiped = new Map<string, number>();

  constructor(now: () => number, violate: (message: string) => void) {
    this.now = now;
    this.violate = violate;
  }

  /** A node wrote down what it was told. `isWhole` says that the log lost nothing for long. */
  onAssignment(node: string, told: Assignment, isWhole: boolean): void {
    const before = this.held.get(node)?.told;
    this.held.set(node, { told, at: this.now(), before });
    this.followed.add(`${node} ${told.logId}`);
    if (before === undefined || before.logId !== told.logId || !isWhole) return;
    if (told.generation >= before.generation) return;
    this.violate(`node ${node} goes back from assignment ${before.generation} to ${told.generation}`);
  }

  /** A node lost all that it had written down: it follows the first leader that it hears, also one that was deposed meanwhile. */
  onWipe(node: string): void {
    const { epoch = 0 } = this.held.get(node)?.told ?? {};
    this.wiped.set(node, Math.max(epoch, this.wiped.get(node) ?? 0));
    this.held.delete(node);
  }

  /** The log lost something: its leaders are numbered anew. */
  forget(): void {
    this.wiped.clear();
  }

  /** How many containers the node was told to run for a pod. */
  containers(node: string, key: string): number {
    const items = this.held.get(node)?.told.items;
    return items?.find(({ namespace, name }) => keyOf(namespace, name) === key)?.containers.length ?? 0;
  }

  /** True when the node ends the container for what the log lost, or the node itself. */
  isForLost(state: State, losses: readonly Loss[], node: string, pod: ReadPod, { templateId }: ContainerInfo): boolean {
    const { eventId } = state.workloads.get(pod.workload)?.templates.get(pod.template) ?? {};
    if (!mayBeSameTemplate(eventId, templateId)) return true;
    const held = this.held.get(node);
    if (held === undefined) return false;
    const orders = this.now() - held.at < underWayMs ? [held.told, held.before] : [held.told];
    const followed = this.wiped.get(node) ?? 0;
    return orders.some((told) => {
      if (told === undefined) return false;
      if (told.epoch < followed || isBeforePod(told, state, losses, pod)) return true;
      return this.isLost(told, state, losses, node, pod.key);
    });
  }

  /**
   * True while the node holds an order whose record was lost, and which does not let the pod run. It may be of the log that the
   * one of now was restored from, as long as the node has heard of no other.
   */
  private isLost(told: Assignment, state: State, losses: readonly Loss[], node: string, pod: string): boolean {
    const { logId, epoch, generation, items } = told;
    if (logId !== state.logId && this.followed.has(`${node} ${state.logId}`)) return false;
    const isLost = losses.some((loss) => loss.logId === logId && generation > loss.left && epoch <= loss.epoch);
    return isLost && !items.some(({ namespace, name, desired }) => keyOf(namespace, name) === pod && desired === "run");
  }
}

/**
 * True for an order of before the pod, whose name one had that the log lost, or the one it was restored from: the node does not
 * know of the pod yet.
 */
function isBeforePod(told: Assignment, { logId, parents }: State, losses: readonly Loss[], pod: ReadPod): boolean {
  const isLost = losses.some((one) => one.logId === logId || parents.includes(one.logId));
  return told.logId === logId && told.generation < pod.assignment && isLost;
}
