// `swain restore`: writes the records of a backup into an empty log at the sequences they had, and ends with an event that
// begins a new log which names the old one as its parent. Called by the CLI with the rights of a controller, while none runs.
import type { Event } from "../../schemas/generated/types.ts";
import { limits } from "../bus/limits.ts";
import type { Bus } from "../bus/port.ts";
import { ensureStreams } from "../bus/streams.ts";
import { subjectsOf } from "../bus/subjects.ts";
import type { Clock } from "../kernel/clock.ts";
import { sleep } from "../kernel/clock.ts";
import { SwainError } from "../kernel/errors.ts";
import type { Ids } from "../kernel/ids.ts";
import { Ledger } from "./ledger.ts";
import { encodeEvent } from "./record.ts";

export interface RestorePorts {
  readonly bus: Bus;
  readonly cluster: string;
  readonly clock: Clock;
  readonly ids: Ids;
}

/** A record as a backup holds it. */
export interface SavedRecord {
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
}

export interface Restored {
  readonly logId: string;
  readonly parent: string;
  /** Of the event that began the new log. */
  readonly sequence: number;
  readonly pods: number;
}

/** Three beats of a leader. */
const listenMs = 3 * limits.leaderBeatMs;
/** What stands where a record had been taken out of the log by hand: no leader wrote it, so every fold skips it. */
const filler = new TextEncoder().encode('{"filler":true}');

/**
 * Throws CONTROLLER_RUNS, LOG_NOT_EMPTY, BACKUP_BROKEN when the records make no log, LOG_UNKNOWN_EVENT, and what an append
 * throws: then the log is written in part and has to be deleted before the next try.
 */
export async function restoreLog(ports: RestorePorts, records: AsyncIterable<SavedRecord>): Promise<Restored> {
  const { bus, cluster, clock } = ports;
  const subjects = subjectsOf(cluster);
  await refuseLeader(ports);
  await ensureStreams(bus, cluster, { replicas: 1 });
  const log = bus.log(subjects.stream);
  const { last } = await log.tail();
  if (last !== 0) {
    throw new SwainError("LOG_NOT_EMPTY", `stream ${subjects.stream} ends at sequence ${last}`);
  }
  const ledger = new Ledger(() => {});
  let tail = 0;
  const append = async (subject: string, data: Uint8Array): Promise<void> => {
    const messageId = `restore-${ports.ids.next()}`;
    const options = { expectedSequence: tail, messageId, timeoutMs: limits.settleMs };
    tail = await log.append(subject, data, options);
    ledger.fold(tail, data);
  };
  for await (const { sequence, subject, data } of records) {
    for (let missing = sequence - tail - 1; missing > 0; missing--) await append(subjects.eventBatch, filler);
    // With another cluster's name only the subjects differ.
    await append(subject.replace(/^swain\.[^.]+\./, `${subjects.root}.`), data);
  }
  const { state } = ledger;
  if (state.logId === "") throw new SwainError("BACKUP_BROKEN", "the records make no log");
  const event = beginning(ports, ledger, tail, Math.round(clock.wall()));
  await append(subjects.eventBatch, encodeEvent(event));
  if (state.logId !== event.logId) throw new SwainError("INTERNAL", "the new log was not begun");
  return { logId: state.logId, parent: state.parents.at(-1) ?? "", sequence: tail, pods: state.pods.size };
}

/** The event that begins the new log: an election, so that whoever led before is deposed. */
function beginning({ ids }: RestorePorts, { state }: Ledger, tail: number, time: number): Event {
  const message = `Restored up to sequence ${tail}: nodes stop pods that were made later.`;
  return {
    schema: 1,
    logId: ids.next(),
    epoch: tail + 1,
    id: ids.next(),
    prev: state.lastEventId,
    time,
    cause: "restore",
    items: [
      { kind: "cluster", verb: "restored", name: state.clusterUid, parent: state.logId, sequence: tail, message },
      { kind: "leader", verb: "elected", name: "restore" },
    ],
  };
}

/** A controller that runs would have begun a log of its own already, or would do so between two records. */
async function refuseLeader({ bus, cluster, clock }: RestorePorts): Promise<void> {
  let heard = false;
  const cancel = bus.subscribe(subjectsOf(cluster).leader, () => {
    heard = true;
  });
  await sleep(clock, listenMs);
  cancel();
  if (heard) throw new SwainError("CONTROLLER_RUNS", `a controller leads cluster ${cluster}`);
}
