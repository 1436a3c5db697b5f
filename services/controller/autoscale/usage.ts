// What agents last measured of their nodes and pods. Thousands of such messages may come every few seconds and few are ever
// looked at, so each is kept as it came and parsed when somebody asks.
import { nodeMetrics } from "../../../schemas/generated/messages.js";
import type { Usage } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import type { BusMessage } from "../../bus/port.ts";
import { idOf } from "../../bus/subjects.ts";
import type { PodUse } from "../../core/autoscale/metric.ts";
import { type Key, keyOf, type ReadPod, type ReadState } from "../../core/model.ts";
import type { Context } from "../ports.ts";
import { parseJson } from "../record.ts";

/** Figures older than this are none: three messages were missed, and the fourth is late. */
const staleMs = 4 * limits.metricsMs;

interface Parsed {
  readonly node: Usage;
  readonly pods: ReadonlyMap<Key, Usage>;
}

interface Heard {
  readonly at: number;
  readonly data: Uint8Array;
  /** Null when the message made no sense; undefined while nobody asked. */
  parsed?: Parsed | null;
}

export class UsageStore {
  private readonly context: Context;
  private readonly state: ReadState;
  /** Of nodes in the state only, so it grows no larger than the fleet. */
  private readonly heard = new Map<string, Heard>();

  constructor(context: Context, state: ReadState) {
    this.context = context;
    this.state = state;
  }

  onMessage(message: BusMessage): void {
    const node = idOf(message.subject);
    if (!this.state.nodes.has(node) || message.isOver(limits.pageBytes)) {
      this.context.counters.dropped++;
      return;
    }
    this.heard.set(node, { at: this.context.clock.mono(), data: message.data.slice() });
  }

  /** Forgets nodes that are gone and figures nobody may use any more. */
  sweep(): void {
    const now = this.context.clock.mono();
    for (const [node, { at }] of this.heard) {
      if (now - at > staleMs || !this.state.nodes.has(node)) this.heard.delete(node);
    }
  }

  /** The fresh figures of a pod, from its own node; null when there are none. */
  readonly pod = (pod: ReadPod): PodUse | null => {
    const found = pod.node === null ? null : this.of(pod.node);
    const use = found?.parsed.pods.get(pod.key);
    return found === null || use === undefined
      ? null
      : { cpuMillis: use.cpuMillis, memoryBytes: use.memoryBytes, ageMs: found.ageMs };
  };

  /** The fresh figures of a node; null when there are none. */
  node(id: string): (Usage & { readonly ageMs: number }) | null {
    const found = this.of(id);
    return found === null ? null : { ...found.parsed.node, ageMs: found.ageMs };
  }

  private of(node: string): { parsed: Parsed; ageMs: number } | null {
    const heard = this.heard.get(node);
    const ageMs = this.context.clock.mono() - (heard?.at ?? -Infinity);
    if (heard === undefined || ageMs > staleMs) return null;
    if (heard.parsed === undefined) heard.parsed = this.parse(heard.data);
    return heard.parsed === null ? null : { parsed: heard.parsed, ageMs: Math.round(ageMs) };
  }

  private parse(data: Uint8Array): Parsed | null {
    const body = parseJson(data);
    if (!nodeMetrics(body)) {
      this.context.counters.malformed++;
      return null;
    }
    return { node: body.node, pods: new Map(body.pods.map((pod) => [keyOf(pod.namespace, pod.name), pod])) };
  }
}
