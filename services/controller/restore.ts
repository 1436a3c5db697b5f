// `swain restore`: writes the records of a backup into an empty log at the sequences they had, after the snapshot the backup
// may begin with, and ends with an event that begins a new log which names the old one as its parent. Called by the CLI
// with the rights of a controller, while none runs.
import type { Event } from "../../schemas/generated/types.ts";
import { limits } from "../bus/limits.ts";
import type { Bus, LogStore } from "../bus/port.ts";
import { ensureStreams, unmarkLog } from "../bus/streams.ts";
import { subjectsOf } from "../bus/subjects.ts";
import type { State } from "../core/model.ts";
import { Decoder } from "../core/snapshot/decode.ts";
import { encodeState } from "../core/snapshot/encode.ts";
import type { Clock } from "../kernel/clock.ts";
import { sleep } from "../kernel/clock.ts";
import { asSwainError, SwainError } from "../kernel/errors.ts";
import type { Ids } from "../kernel/ids.ts";
import type { Packing } from "../kernel/packing.ts";
import { version } from "../kernel/version.ts";
import { Ledger } from "./ledger.ts";
import { clusterOf } from "./project/found.ts";
import { encodeEvent } from "./record.ts";
import { storedSnapshots, writeSnapshot } from "./snapshot/store.ts";
import type { SnapshotPorts } from "./snapshot/store.ts";

export interface RestorePorts {
  readonly bus: Bus;
  readonly cluster: string;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly packing: Packing;
}

/** A record as a backup holds it. */
export interface SavedRecord {
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
}

/** What a backup holds, in this order: lines of a snapshot, if the log was cut, and records. */
export type SavedPart = { readonly line: string } | SavedRecord;

export interface RestoreOptions {
  /** The cluster the backup is of. Under another name it becomes a copy: a cluster of its own, whose nodes touch nothing of the first. */
  readonly of: { readonly name: string; readonly uid: string };
  /** Although the bus holds snapshots or nodes of another cluster of that name. */
  readonly force: boolean;
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
 * Throws CONTROLLER_RUNS, LOG_NOT_EMPTY, LOG_RESTORING after one that was broken off when something was written, OTHER_CLUSTER, BACKUP_BROKEN
 * when the parts make no log, LOG_UNKNOWN_EVENT, and what an append throws. Whatever it throws once the log is marked, nobody leads that until
 * a restore came to its end: the next goes on in an empty log, and one that was written in part has to be deleted before.
 */
export async function restoreLog(
  ports: RestorePorts,
  parts: AsyncIterable<SavedPart>,
  options: RestoreOptions,
): Promise<Restored> {
  const { bus, cluster, clock } = ports;
  const subjects = subjectsOf(cluster);
  await refuseLeader(ports);
  await ensureStreams(bus, cluster, { replicas: 1, restores: true });
  if (!options.force) await refuseOther({ ...ports, subjects }, cluster, options.of.uid);
  const writer = new LogWriter({ ...ports, subjects }, bus.log(subjects.stream));
  const decoder = new Decoder();
  let lines = 0;
  for await (const part of parts) {
    if ("line" in part) {
      decoder.line(part.line);
      lines++;
      continue;
    }
    if (lines > 0 && !writer.hasBegun) await writer.beginWith(decoder.end(), part.sequence);
    await writer.add(part);
  }
  const { ledger } = writer;
  const { state } = ledger;
  if (state.logId === "") throw new SwainError("BACKUP_BROKEN", "the records make no log");
  const uid = options.of.name === cluster ? state.clusterUid : ports.ids.next();
  const event = beginning(ports, ledger, uid, writer.tail, Math.round(clock.wall()));
  await writer.append(subjects.eventBatch, encodeEvent(event));
  await unmarkLog(bus, cluster);
  if (state.logId !== event.logId) throw new SwainError("INTERNAL", "the new log was not begun");
  return { logId: state.logId, parent: state.parents.at(-1) ?? "", sequence: writer.tail, pods: state.pods.size };
}

/** Puts records where they were. */
class LogWriter {
  ledger = new Ledger(() => {});
  tail = 0;
  hasBegun = false;
  private readonly ports: RestorePorts & SnapshotPorts;
  private readonly log: LogStore;

  constructor(ports: RestorePorts & SnapshotPorts, log: LogStore) {
    this.ports = ports;
    this.log = log;
  }

  /** The state that stands in for what is before the records; some of them are in it already. */
  async beginWith(state: State, first: number): Promise<void> {
    if (first > state.accepted) {
      throw new SwainError("BACKUP_BROKEN", `its records begin at ${first}, after the end of its snapshot`);
    }
    const { ids, clock } = this.ports;
    const { logId, clusterUid, epoch, sequence, accepted, lastEventId } = state;
    const time = Math.round(clock.wall());
    const facts = { logId, clusterUid, epoch, sequence, accepted, lastEventId, version, time };
    await writeSnapshot(this.ports, ids.next(), facts, encodeState(state));
    await this.skipTo(first);
    this.ledger = new Ledger(() => {}, state);
    this.hasBegun = true;
  }

  /** Makes the empty log begin there; on a server that cannot, by filling it and taking that away again. */
  private async skipTo(first: number): Promise<void> {
    const { bus, subjects } = this.ports;
    if (bus.features.emptyCut) this.tail = first - 1;
    while (this.tail < first - 1) await this.append(subjects.eventBatch, filler);
    await this.log.cut(first - 1);
  }

  async add({ sequence, subject, data }: SavedRecord): Promise<void> {
    const { subjects } = this.ports;
    this.hasBegun = true;
    for (let missing = sequence - this.tail - 1; missing > 0; missing--) await this.append(subjects.eventBatch, filler);
    // With another cluster's name only the subjects differ.
    await this.append(subject.replace(/^swain\.[^.]+\./, `${subjects.root}.`), data);
  }

  async append(subject: string, data: Uint8Array): Promise<void> {
    const messageId = `restore-${this.ports.ids.next()}`;
    const options = { expectedSequence: this.tail, messageId, timeoutMs: limits.settleMs };
    this.tail = await this.log.append(subject, data, options).catch((error: unknown) => {
      throw asSwainError(error).code === "APPEND_CONFLICT" ? this.interrupted() : error;
    });
    if (this.tail > this.ledger.state.sequence) this.ledger.fold(this.tail, data);
  }

  /** Most likely a controller, which does not lead what it wrote into (`stand`). */
  private interrupted(): SwainError {
    const { stream } = this.ports.subjects;
    const message = `somebody else wrote into stream ${stream} behind sequence ${this.tail}: delete it before the backup is restored again`;
    return new SwainError("CONTROLLER_RUNS", message);
  }
}

/** Snapshots and nodes that are still there tell whose log it was. */
async function refuseOther(ports: SnapshotPorts, cluster: string, clusterUid: string): Promise<void> {
  const found = await clusterLeft(ports);
  if (found === null || found.uid === clusterUid) return;
  const message = `the bus holds ${found.what} of a cluster ${cluster} with uid ${found.uid}, and the file is of ${clusterUid}`;
  throw new SwainError("OTHER_CLUSTER", message);
}

async function clusterLeft(ports: SnapshotPorts): Promise<{ what: string; uid: string } | null> {
  const { bus, subjects } = ports;
  for await (const { manifest } of storedSnapshots(ports)) {
    if (manifest !== null) return { what: "snapshots", uid: manifest.clusterUid };
  }
  for (const { value } of (await bus.bucket(subjects.buckets.nodes).load()).values()) {
    const uid = value === null ? undefined : clusterOf(value);
    if (uid !== undefined) return { what: "nodes", uid };
  }
  return null;
}

/** The event that begins the new log: an election, so that whoever led before is deposed. */
function beginning({ ids }: RestorePorts, { state }: Ledger, uid: string, tail: number, time: number): Event {
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
      { kind: "cluster", verb: "restored", name: uid, parent: state.logId, sequence: tail, message },
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
