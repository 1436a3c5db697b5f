// The autoscaling loop of a term: looks every few seconds at what the pods use, and writes what follows from it. The
// decisions are core/autoscale's; here are only the histories between them, which a new leader begins anew.
import type { AutoscaleEvaluation } from "../../../schemas/generated/types.ts";
import { type Evaluated, evaluate, isOutside } from "../../core/autoscale/evaluate.ts";
import type { History } from "../../core/autoscale/history.ts";
import { scaleItems } from "../../core/autoscale/items.ts";
import { type Key, type ReadAutoscaler, type ReadState } from "../../core/model.ts";
import type { TermTime } from "../../core/view.ts";
import type { Context } from "../ports.ts";
import type { Committed, TermEnd, Writer } from "../term/writer.ts";
import type { UsageStore } from "./usage.ts";

/** Looked at in one go, between which the leader does everything else; a fleet may have thousands. */
const atOnce = 50;
const pauseMs = 10;

interface Kept {
  /** Of the autoscaler the history belongs to: a changed one observes anew. */
  readonly generation: number;
  readonly history: History | null;
}

export class Autoscaling {
  private readonly context: Context;
  private readonly state: ReadState;
  private readonly usage: UsageStore;
  private readonly time: () => TermTime;
  private readonly kept = new Map<Key, Kept>();
  /** Autoscalers whose turn has come. */
  private readonly due = new Set<Key>();
  private readonly wake: () => void;

  constructor(context: Context, state: ReadState, usage: UsageStore, time: () => TermTime, wake: () => void) {
    this.context = context;
    this.state = state;
    this.usage = usage;
    this.time = time;
    this.wake = wake;
  }

  /** It is time to look again. */
  look(): void {
    this.usage.sweep();
    for (const key of this.kept.keys()) if (!this.state.autoscalers.has(key)) this.kept.delete(key);
    for (const key of this.state.autoscalers.keys()) this.due.add(key);
    if (this.due.size > 0) this.wake();
  }

  /** A new autoscaler looks at once, and so does one whose workload was taken out of its bounds. */
  onCommitted({ touched }: Committed): void {
    for (const key of touched.autoscalers) this.due.add(key);
    for (const workload of touched.workloads) {
      const key = this.state.autoscalerOf.get(workload);
      if (key !== undefined && this.isOut(workload, key)) this.due.add(key);
    }
  }

  /** What the autoscaler sees and would do now; null when there is none of that key. Nothing is remembered. */
  explain(key: Key): AutoscaleEvaluation | null {
    const autoscaler = this.state.autoscalers.get(key);
    return autoscaler === undefined ? null : this.evaluated(key, autoscaler).evaluation;
  }

  /** Looks with the next autoscalers whose time has come, and writes their decisions. Returns why the term ended, if it did. */
  async step(writer: Writer): Promise<TermEnd | undefined> {
    for (const key of [...this.due].slice(0, atOnce)) {
      this.due.delete(key);
      const autoscaler = this.state.autoscalers.get(key);
      if (autoscaler === undefined) continue;
      const { evaluation, history } = this.evaluated(key, autoscaler);
      this.kept.set(key, { generation: autoscaler.generation, history });
      const items = writer.passed("autoscale", scaleItems(autoscaler, evaluation));
      const written = await writer.write("autoscale", items);
      if (written.kind === "ended") return written.end;
      // A log that takes no more is asked again at the next look.
      if (written.kind === "full") this.due.clear();
      if (written.kind !== "committed") continue;
      const { replicas: from, desired: to, reason } = evaluation;
      this.context.log.info("autoscaled", { autoscaler: key, from, to, reason });
    }
    if (this.due.size > 0) this.context.clock.after(pauseMs, this.wake);
    return undefined;
  }

  private evaluated(key: Key, autoscaler: ReadAutoscaler): Evaluated {
    const kept = this.kept.get(key);
    const history = kept?.generation === autoscaler.generation ? kept.history : null;
    return evaluate(this.state, autoscaler, this.usage.pod, history, this.time());
  }

  private isOut(workload: Key, key: Key): boolean {
    const autoscaler = this.state.autoscalers.get(key);
    const replicas = this.state.workloads.get(workload)?.spec.replicas;
    return autoscaler !== undefined && replicas !== undefined && isOutside(replicas, autoscaler.spec);
  }
}
