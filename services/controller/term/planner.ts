// Runs the planner as long as it finds something to do, one event at a time, and remembers when to look again.
import { keyOf } from "../../core/model.ts";
import type { Key, ReadState } from "../../core/model.ts";
import { plan } from "../../core/plan/plan.ts";
import type { View } from "../../core/view.ts";
import type { EventItem } from "../../../schemas/generated/types.ts";
import { activeTrace, inTrace } from "../../kernel/trace.ts";
import type { Trace } from "../../kernel/trace.ts";
import type { Context } from "../ports.ts";
import type { Committed, TermEnd, Writer } from "./writer.ts";

/**
 * After the start of a term, a stall or a reconnect, every living agent and proxy is heard within two heartbeats: until
 * then nothing is given up for its silence.
 */
const graceMs = 2500;
/** Between two looks at what was refused or could not be written. */
const restMs = 1000;
/** More plans than this without one that finds nothing to do, and the planner is taken to be going in circles: it rests. */
const plansInARow = 1000;
/** A timer of the planner is never shorter, lest a rounding keeps the loop spinning. */
const leastWaitMs = 10;

/** Workloads whose trace is remembered between two rests. */
const tracesMost = 1000;

export interface PlannerSources {
  view(): Omit<View, "isDeaf">;
  /** True while nobody may be heard. */
  isDeaf(): boolean;
  /** Milliseconds since deadlines were last moved because nobody could be heard. */
  sinceExcuse(): number;
}

export class Planner {
  private readonly context: Context;
  private readonly state: ReadState;
  private readonly sources: PlannerSources;
  private attention: Set<Key> | "all" = "all";
  private wanted = true;
  private readonly traces = new Map<Key, Trace>();
  /** Plans written since the last one that found nothing to do. */
  private inARow = 0;
  /** Monotonic time of the next look. */
  private dueAt: number | null = null;
  private restsUntil = -Infinity;

  constructor(context: Context, state: ReadState, sources: PlannerSources) {
    this.context = context;
    this.state = state;
    this.sources = sources;
  }

  /** Something the planner sees has changed. */
  look(): void {
    this.wanted = true;
  }

  onCommitted({ touched }: Committed): void {
    this.wanted = true;
    this.remember(touched.workloads);
    if (this.attention === "all") return;
    for (const key of touched.workloads) this.attention.add(key);
  }

  /** What follows from a traced change belongs to its trace, until there is nothing more to do. */
  private remember(workloads: ReadonlySet<Key>): void {
    const trace = activeTrace();
    if (trace === undefined) return;
    for (const key of workloads) if (this.traces.size < tracesMost) this.traces.set(key, trace);
  }

  private traceOf(items: readonly EventItem[]): Trace {
    if (this.traces.size === 0) return undefined;
    for (const item of items) {
      const trace = "workload" in item ? this.traces.get(keyOf(item.namespace, item.workload)) : undefined;
      if (trace !== undefined) return trace;
    }
    return undefined;
  }

  /** Milliseconds until it should run again; null when nothing but a change can give it work. */
  get waitMs(): number | null {
    const now = this.context.clock.mono();
    const dueAt = this.wanted ? now : this.dueAt;
    return dueAt === null ? null : Math.max(0, dueAt - now, this.restsUntil - now);
  }

  /** Makes one plan and writes it. True when it wrote something and may have more to do. */
  async step(writer: Writer): Promise<boolean | TermEnd> {
    if (this.waitMs !== 0) return false;
    this.wanted = false;
    this.dueAt = null;
    const heard = this.sources.view();
    const view = { ...heard, isDeaf: this.isDeaf(heard) };
    const { clock, measures } = this.context;
    const started = clock.mono();
    const { cause, items, wakeInMs } = plan(this.state, view, this.attention);
    measures.plan.add(clock.mono() - started);
    if (items.length === 0) {
      this.inARow = 0;
      this.settle(wakeInMs);
      return false;
    }
    const passed = writer.passed(cause, writer.first(items));
    if (passed.length === 0) {
      this.rest();
      return false;
    }
    const written = await inTrace(this.traceOf(passed), () => writer.write(cause, passed));
    if (written.kind === "ended") return written.end;
    // The next event holds fewer items.
    if (written.kind === "tooLarge" && passed.length > 1) this.look();
    else if (written.kind === "full" || written.kind === "tooLarge") this.rest();
    else this.breathe(cause);
    return written.kind === "committed";
  }

  /** Nothing more to do for now: only what a timer may bring on stays in sight. */
  private settle(wakeInMs: number | null): void {
    this.traces.clear();
    const keys = this.attention === "all" ? this.state.workloads.keys() : this.attention;
    this.attention = new Set([...keys].filter((key) => this.isChanging(key)));
    if (wakeInMs !== null) this.dueAt = this.context.clock.mono() + Math.max(leastWaitMs, wakeInMs);
  }

  /** A template change has a deadline, which no event announces. */
  private isChanging(key: Key): boolean {
    return (this.state.workloads.get(key)?.templates.size ?? 0) > 1;
  }

  /** Whatever is heard meanwhile, the same would be refused again. */
  private rest(): void {
    this.wanted = true;
    this.restsUntil = this.context.clock.mono() + restMs;
  }

  /** A planner that never comes to rest would fill the log; it is slowed down and said. */
  private breathe(cause: string): void {
    this.inARow += 1;
    if (this.inARow < plansInARow) return;
    this.inARow = 0;
    this.context.counters.refused += 1;
    this.context.log.error("the planner does not come to rest", { code: "PLAN_REFUSED", cause, plans: plansInARow });
    this.rest();
  }

  /** Who cannot hear anybody, or could not a moment ago, gives nothing up for its silence. */
  private isDeaf({ termAgeMs }: Pick<View, "termAgeMs">): boolean {
    return this.sources.isDeaf() || termAgeMs < graceMs || this.sources.sinceExcuse() < graceMs;
  }
}
