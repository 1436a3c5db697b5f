// The work of looking through snapshots and of making one. It takes seconds on a large cluster, so the leader never does it
// itself: a thread does (`thread/`), and a simulation wherever it likes. Every word of it is on the bus.
import type { SnapshotManifest } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import { isMissing } from "../../bus/jetstream-api.ts";
import { ensureSnapshots } from "../../bus/streams.ts";
import type { State } from "../../core/model.ts";
import { blocksOf } from "../../core/snapshot/blocks.ts";
import { Decoder } from "../../core/snapshot/decode.ts";
import { encodeState } from "../../core/snapshot/encode.ts";
import type { Clock } from "../../kernel/clock.ts";
import { SwainError, asSwainError } from "../../kernel/errors.ts";
import type { Ids } from "../../kernel/ids.ts";
import { version } from "../../kernel/version.ts";
import { Ledger } from "../ledger.ts";
import { parseJson, stringField } from "../record.ts";
import { openLedger, unfit } from "./open.ts";
import type { Problem, SnapshotOrder, SnapshotReport, Verified } from "./port.ts";
import { dropSnapshot, loadSnapshot, storedSnapshots, writeSnapshot } from "./store.ts";
import type { SnapshotPorts, StoredSnapshot } from "./store.ts";

export interface WorkPorts extends SnapshotPorts {
  readonly cluster: string;
  readonly clock: Clock;
  readonly ids: Ids;
}

const kept = 2;

/**
 * Reads the newest snapshots until two are found that are whole and belong to the log. Rejects with TIMEOUT or
 * JETSTREAM_ERROR.
 */
export async function checkSnapshots(ports: WorkPorts): Promise<SnapshotReport> {
  const verified: Verified[] = [];
  const problems: Problem[] = [];
  let looked = 0;
  for await (const { id, manifest } of storedSnapshots(ports)) {
    if (manifest === null) {
      // One that was good may have lost its manifest, and nobody knows whether the log alone tells the state.
      const message = `a part of snapshot ${id} is there without its manifest`;
      if (problems.every((problem) => problem.message !== message)) problems.push({ code: "SNAPSHOT_BROKEN", message });
      continue;
    }
    if (verified.length === kept || looked === limits.snapshotsLooked) break;
    looked++;
    try {
      await verify(ports, { id, manifest });
      verified.push(refOf({ id, manifest }));
    } catch (error) {
      const { code, message } = asSwainError(error);
      if (code !== "SNAPSHOT_BROKEN") throw error;
      problems.push({ code, message });
    }
  }
  return report(ports, verified, problems);
}

async function report(
  { bus, subjects }: WorkPorts,
  verified: readonly Verified[],
  problems: readonly Problem[],
): Promise<SnapshotReport> {
  const { first } = await bus.log(subjects.stream).tail();
  if (first === 1 || verified.length >= kept) return { verified, problems };
  const message = `the log begins at sequence ${first}, and ${verified.length} of ${kept} snapshots are good`;
  return { verified, problems: [...problems, { code: "SNAPSHOT_MISSING", message }] };
}

const refOf = ({ id, manifest }: StoredSnapshot): Verified => {
  const { sequence, accepted, time } = manifest;
  return { id, sequence, accepted, time };
};

/** Throws SNAPSHOT_BROKEN. */
async function verify(ports: WorkPorts, stored: StoredSnapshot): Promise<void> {
  const ledger = new Ledger(() => {}, await loadSnapshot(ports, stored));
  try {
    // No record is folded: this asks whether the log is the one the snapshot was made of.
    await ledger.catchUp(ports.bus.log(ports.subjects.stream), stored.manifest.sequence);
  } catch (error) {
    const { code, message } = asSwainError(error);
    throw code === "LOG_UNKNOWN" ? unfit(stored, message) : error;
  }
}

/**
 * Folds up to that sequence, from what is there already, writes a snapshot, reads all of it back, and removes what it and
 * the one it was made from stand in for. Rejects with SNAPSHOT_BROKEN when what was read back is not what was meant,
 * APPEND_CONFLICT when another controller makes one, and with what reading the log and writing throws.
 */
export async function makeSnapshot(ports: WorkPorts, order: SnapshotOrder): Promise<SnapshotReport> {
  await ensureStream(ports);
  const earlier = await tidied(ports, order.sequence);
  const { base, stored, blocks } = await written(ports, order);
  try {
    await readBack(ports, stored, blocks);
  } catch (error) {
    await dropSnapshot(ports, stored.id);
    throw error;
  }
  for (const id of earlier) if (id !== base?.id) await dropSnapshot(ports, id);
  return report(ports, [stored, ...(base === null ? [] : [base])].map(refOf), []);
}

async function ensureStream({ bus, subjects, cluster }: WorkPorts): Promise<void> {
  try {
    await bus.log(subjects.snapshots).tail();
  } catch (error) {
    if (!isMissing(error)) throw error;
    await ensureSnapshots(bus, cluster);
  }
}

/**
 * Removes what interrupted writers left, and gives the ids of the snapshots that one of that sequence stands in for. A later
 * one is another leader's: the one that asked for this leads no more, and must not take anything away.
 */
async function tidied(ports: WorkPorts, sequence: number): Promise<Set<string>> {
  const whole = new Set<string>();
  const strays = new Set<string>();
  for await (const { id, manifest } of storedSnapshots(ports)) {
    if (manifest === null) strays.add(id);
    else if (manifest.sequence <= sequence) whole.add(id);
    else if (!(await isOfLog(ports, manifest))) strays.add(id);
    else throw new SwainError("APPEND_CONFLICT", `snapshot ${id} is of sequence ${manifest.sequence} already`);
  }
  for (const id of strays) await dropSnapshot(ports, id);
  return whole;
}

/** A log made anew has other events at the same sequences. */
async function isOfLog({ bus, subjects }: WorkPorts, { accepted, lastEventId }: SnapshotManifest): Promise<boolean> {
  const record = await bus.log(subjects.stream).get(accepted);
  return record !== null && stringField(parseJson(record.data), "id") === lastEventId;
}

interface Written {
  readonly base: StoredSnapshot | null;
  readonly stored: StoredSnapshot;
  /** The hash of each block before it was packed. */
  readonly blocks: readonly string[];
}

/** The folded state is let go when this returns: reading it back needs as much memory once more. */
async function written(ports: WorkPorts, order: SnapshotOrder): Promise<Written> {
  const { clock, ids, packing } = ports;
  const { state, base } =
    order.lines === null ? await folded(ports, order) : { state: decoded(order.lines), base: null };
  if (state.logId === "") throw new SwainError("SNAPSHOT_FAILED", "there is no log to make a snapshot of");
  const { logId, clusterUid, epoch, sequence, accepted, lastEventId } = state;
  const time = Math.round(clock.wall());
  const facts = { logId, clusterUid, epoch, sequence, accepted, lastEventId, version, time };
  const blocks: string[] = [];
  const note = (block: Uint8Array): void => void blocks.push(packing.sha256(block));
  const stored = await writeSnapshot(ports, ids.next(), facts, encodeState(state), note);
  return { base, stored, blocks };
}

async function folded(
  ports: WorkPorts,
  { sequence, afresh }: SnapshotOrder,
): Promise<{ state: State; base: StoredSnapshot | null }> {
  const useless = new Set<string>();
  const { ledger, base } = await openLedger(ports, {
    onForeign: () => {},
    onProblem: (_, id) => void useless.add(id),
    upTo: sequence,
    order: afresh ? "oldest" : "newest",
  });
  // They would only use up the room.
  for (const id of useless) await dropSnapshot(ports, id);
  return { state: ledger.state, base };
}

function decoded(lines: readonly string[]): State {
  const decoder = new Decoder();
  for (const line of lines) decoder.line(line);
  return decoder.end();
}

/** What is stored must decode to a state that would be written the same. Throws SNAPSHOT_BROKEN. */
async function readBack(ports: WorkPorts, stored: StoredSnapshot, blocks: readonly string[]): Promise<void> {
  const state = await loadSnapshot(ports, stored);
  let index = 0;
  let equal = true;
  for (const block of blocksOf(encodeState(state), limits.snapshotChunkBytes)) {
    equal &&= ports.packing.sha256(block) === blocks[index++];
  }
  if (equal && index === blocks.length) return;
  const message = `snapshot ${stored.id} of sequence ${stored.manifest.sequence} does not give back the state it was made of`;
  throw new SwainError("SNAPSHOT_BROKEN", message);
}
