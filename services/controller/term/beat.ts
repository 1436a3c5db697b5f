// The beat of a leader: what it tells, and what it reads of another's. Called by the term.
import type { LeaderBeat } from "../../../schemas/generated/types.ts";
import { leaderBeat } from "../../../schemas/generated/messages.js";
import type { BusMessage } from "../../bus/port.ts";
import type { ReadState } from "../../core/model.ts";
import type { Context } from "../ports.ts";
import { bodyOf } from "../record.ts";

/** Says that this process leads; `resigned`: not any more, so that a standby need not wait. */
export function publishBeat({ bus, subjects, id, clock }: Context, state: ReadState, resigned: boolean): void {
  const { logId, epoch, sequence } = state;
  const beat: LeaderBeat = {
    logId,
    epoch,
    sequence,
    leader: id,
    time: clock.wall(),
    ...(resigned ? { resigned } : {}),
  };
  bus.publish(subjects.leader, beat);
}

/** True for another leader's beat: whoever has the later epoch leads, and the log tells. */
export function isOfLater({ counters }: Context, state: ReadState, message: BusMessage): boolean {
  const beat = bodyOf(message);
  if (leaderBeat(beat)) return beat.logId === state.logId && beat.epoch > state.epoch;
  counters.dropped++;
  return false;
}
