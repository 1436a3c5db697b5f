// Snapshots as they lie in their stream: the chunks of one, each on its own record, and then a manifest that names their
// hashes. Without a valid manifest there is no snapshot. It knows nothing of when one is made; `work.ts` does.
import { snapshotManifest } from "../../../schemas/generated/messages.js";
import type { SnapshotManifest } from "../../../schemas/generated/types.ts";
import { isMissing } from "../../bus/jetstream-api.ts";
import { limits } from "../../bus/limits.ts";
import type { Bus, LogStore } from "../../bus/port.ts";
import { snapshotPartOf } from "../../bus/subjects.ts";
import type { Subjects } from "../../bus/subjects.ts";
import type { State } from "../../core/model.ts";
import { blocksOf, LineReader } from "../../core/snapshot/blocks.ts";
import { Decoder } from "../../core/snapshot/decode.ts";
import { SwainError } from "../../kernel/errors.ts";
import type { Packing } from "../../kernel/packing.ts";
import { parseJson } from "../record.ts";

export interface SnapshotPorts {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly packing: Packing;
}

export interface StoredSnapshot {
  readonly id: string;
  readonly manifest: SnapshotManifest;
}

/** A part of no snapshot: left by a writer that was interrupted, or damaged. */
export interface Stray {
  readonly id: string;
  readonly manifest: null;
}

/** Records looked at one by one: more strays than this are those of several snapshots of the largest size. */
const looksMost = 5000;
/** Numbers without a record, as writers leave that come to nothing: each costs a question, so many half a minute, and a week of such writers. */
const holesMost = 100_000;
const appendMs = 10_000;
const encoder = new TextEncoder();

const shelf = ({ bus, subjects }: SnapshotPorts): LogStore => bus.log(subjects.snapshots);

/** What is there, newest first, strays among it. Nothing when the stream is gone. Rejects with TIMEOUT or JETSTREAM_ERROR. */
export async function* storedSnapshots(ports: SnapshotPorts): AsyncGenerator<StoredSnapshot | Stray> {
  const store = shelf(ports);
  let tail: { first: number; last: number };
  try {
    tail = await store.tail();
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  let looked = 0;
  let holes = 0;
  for (let at = tail.last; at >= tail.first && looked < looksMost;) {
    const record = await store.get(at);
    if (record === null) {
      at--;
      holes++;
      if (holes <= holesMost) continue;
      const what = `${holesMost} records are gone from the end of stream ${ports.subjects.snapshots}`;
      throw new SwainError("JETSTREAM_ERROR", `${what}: nobody knows whether a snapshot is behind them`);
    }
    looked++;
    const { id, part } = snapshotPartOf(record.subject);
    const manifest = part === "manifest" ? parseJson(record.data) : undefined;
    const isWhole = snapshotManifest(manifest) && manifest.first + manifest.chunks.length === at;
    yield isWhole ? { id, manifest } : { id, manifest: null };
    at = isWhole ? manifest.first - 1 : at - 1;
  }
}

/** Reads a snapshot and checks every byte of it. Rejects with SNAPSHOT_BROKEN, TIMEOUT or JETSTREAM_ERROR. */
export async function loadSnapshot(ports: SnapshotPorts, stored: StoredSnapshot): Promise<State> {
  const { manifest } = stored;
  const decoder = new Decoder();
  await eachBlock(ports, stored, new LineReader((line) => decoder.line(line)));
  const state = decoder.end();
  for (const field of ["logId", "sequence", "accepted", "lastEventId"] as const) {
    if (state[field] !== manifest[field]) throw broken(stored, `its ${field} is not that of its manifest`);
  }
  return state;
}

async function eachBlock(ports: SnapshotPorts, stored: StoredSnapshot, reader: LineReader): Promise<void> {
  const { packing } = ports;
  const { first, chunks } = stored.manifest;
  let next = 0;
  const end = first + chunks.length - 1;
  await shelf(ports).read(
    first,
    ({ sequence, data }) => {
      const chunk = chunks[next];
      if (chunk === undefined || sequence !== first + next) throw broken(stored, `chunk ${next + 1} is missing`);
      if (packing.sha256(data) !== chunk.sha256) throw broken(stored, `chunk ${next + 1} is not what was written`);
      next++;
      reader.take(unpacked(packing, stored, data));
    },
    end,
  );
  if (next < chunks.length) throw broken(stored, `chunk ${next + 1} is missing`);
  if (!reader.isComplete) throw broken(stored, "its last line is not whole");
}

function unpacked(packing: Packing, stored: StoredSnapshot, data: Uint8Array): Uint8Array {
  try {
    return packing.unpack(data, limits.snapshotChunkBytes);
  } catch (error) {
    throw broken(stored, `a chunk cannot be unpacked: ${String(error)}`);
  }
}

const broken = ({ id, manifest }: StoredSnapshot, why: string): SwainError =>
  new SwainError("SNAPSHOT_BROKEN", `snapshot ${id} of sequence ${manifest.sequence}: ${why}`);

/** What a manifest says beside its chunks. */
export type SnapshotFacts = Pick<
  SnapshotManifest,
  "logId" | "clusterUid" | "epoch" | "sequence" | "accepted" | "lastEventId" | "version" | "time"
>;

/**
 * Writes lines as a snapshot under a new id; `onBlock` sees each block before it is packed. Rejects with APPEND_CONFLICT
 * when somebody else writes one, and with LOG_FULL, TIMEOUT or JETSTREAM_ERROR; what was written then is a stray.
 */
export async function writeSnapshot(
  ports: SnapshotPorts,
  id: string,
  facts: SnapshotFacts,
  lines: Iterable<string>,
  onBlock: (block: Uint8Array) => void = () => {},
): Promise<StoredSnapshot> {
  const { subjects, packing } = ports;
  const store = shelf(ports);
  let tail = (await store.tail()).last;
  const first = tail + 1;
  const append = async (part: "chunk" | "manifest", data: Uint8Array): Promise<void> => {
    const messageId = `${id}-${tail + 1}`;
    const options = { expectedSequence: tail, messageId, timeoutMs: appendMs };
    tail = await store.append(subjects.snapshot(id, part), data, options);
  };
  const chunks: { bytes: number; sha256: string }[] = [];
  let bytes = 0;
  for (const block of blocksOf(lines, limits.snapshotChunkBytes)) {
    onBlock(block);
    const data = packing.pack(block);
    bytes += block.length;
    chunks.push({ bytes: data.length, sha256: packing.sha256(data) });
    await append("chunk", data);
  }
  const manifest: SnapshotManifest = { format: 1, ...facts, bytes, first, chunks };
  await append("manifest", encoder.encode(JSON.stringify(manifest)));
  return { id, manifest };
}

/** Removes all parts of a snapshot. */
export async function dropSnapshot(ports: SnapshotPorts, id: string): Promise<void> {
  const store = shelf(ports);
  await store.cut((await store.tail()).last, ports.subjects.snapshot(id, ">"));
}
