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

  renew(id: string): void {
    this.renewed.set(id, { at: this.context.clock.mono(), excused: this.excused });
  }

  /** A registration counts as the first renewal. It is noted before the planner may look. */
  onCommitted({ items }: Event): void {
    for (const item of items) {
      if (item.kind !== "endpoint" || item.verb !== "registered") continue;
      this.renew(externalId(item.namespace, item.service, item.name));
    }
  }

  excuse(ms: number): void {
    this.excused += Math.max(0, ms);
  }

  /** Endpoint → milliseconds since it was renewed or, if it was not in this term, since the term began. */
  ago(): ReadonlyMap<string, number> {
    const now = this.context.clock.mono();
    const view = new Map<string, number>();
    for (const id of this.state.external.keys()) {
      const { at, excused } = this.renewed.get(id) ?? { at: this.startedAt, excused: 0 };
      view.set(id, Math.max(0, now - at - (this.excused - excused)));
    }
    for (const id of this.renewed.keys()) if (!this.state.external.has(id)) this.renewed.delete(id);
    return view;
  }
}
