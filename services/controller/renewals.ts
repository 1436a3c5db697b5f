// When external endpoints were last renewed, in this term. A renewal is no event: it would fill the log with what says
// nothing new. What follows from a missing one is the planner's affair.
import type { Event } from "../../schemas/generated/types.ts";
import { externalId } from "../core/model.ts";
import type { ReadState } from "../core/model.ts";
import type { Context } from "./ports.ts";

interface Renewed {
  /** Monotonic time, and the excused time up to then. */
  readonly at: number;
  readonly excused: number;
  /** It came when the time was over, and no change was decided since. */
  readonly isLate: boolean;
}

export class Renewals {
  private readonly context: Context;
  private readonly state: ReadState;
  private readonly startedAt: number;
  private readonly renewed = new Map<string, Renewed>();
  /** Milliseconds of own stalls and disconnects in this term, in which nobody could renew. */
  private excused = 0;

  constructor(context: Context, state: ReadState) {
    this.context = context;
    this.state = state;
    this.startedAt = context.clock.mono();
  }

  /** False when the time was over already: then its removal may be on the way into the log. */
  renew(id: string): boolean {
    const ttlMs = this.state.external.get(id)?.ttlMs ?? 0;
    const isLate = this.renewed.get(id)?.isLate === true || this.agoOf(id) >= ttlMs;
    this.renewed.set(id, { at: this.context.clock.mono(), excused: this.excused, isLate });
    return !isLate;
  }

  /** No removal of it is on the way, for a change is being decided. */
  settle(id: string): void {
    const renewed = this.renewed.get(id);
    if (renewed !== undefined) this.renewed.set(id, { ...renewed, isLate: false });
  }

  /** A registration counts as the first renewal. It is noted before the planner may look. */
  onCommitted({ items }: Event): void {
    for (const item of items) {
      if (item.kind !== "endpoint" || item.verb !== "registered") continue;
      const id = externalId(item.namespace, item.service, item.name);
      this.renewed.set(id, { at: this.context.clock.mono(), excused: this.excused, isLate: false });
    }
  }

  excuse(ms: number): void {
    this.excused += Math.max(0, ms);
  }

  /** Endpoint → milliseconds since it was renewed or, if it was not in this term, since the term began. */
  ago(): ReadonlyMap<string, number> {
    const view = new Map<string, number>();
    for (const id of this.state.external.keys()) view.set(id, this.agoOf(id));
    for (const id of this.renewed.keys()) if (!this.state.external.has(id)) this.renewed.delete(id);
    return view;
  }

  private agoOf(id: string): number {
    const { at, excused } = this.renewed.get(id) ?? { at: this.startedAt, excused: 0 };
    return Math.max(0, this.context.clock.mono() - at - (this.excused - excused));
  }
}
