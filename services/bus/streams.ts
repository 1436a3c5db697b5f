// Makes the log stream and the KV buckets, and brings their settings up to date. Called by a controller before anything
// else, and by nothing that only reads.
//
// It asks the JetStream API over the port and not through the client library: so a simulated bus can offer it; and the
// library's KV cannot say all that a bucket needs (readers, deduplication window, no deletions), while its streams are
// these same three requests, with an update that reads and merges once more by itself.
import { SwainError } from "../kernel/errors.ts";
import { productionFloor, featuresOf } from "./features.ts";
import { apiCall, apiCodes, apiResult, failed, isLed } from "./jetstream-api.ts";
import type { ApiFailure, StreamInfo } from "./jetstream-api.ts";
import type { Bus } from "./port.ts";
import { isMarked, refuseMarked } from "./restoring.ts";
import { bucketOrder, subjectsOf } from "./subjects.ts";
import type { BucketName } from "./subjects.ts";

export interface EnsureOptions {
  /** Copies of each stream, 1, 3 or 5; more than one needs a production server. */
  readonly replicas: number;
  /** Room of a new log, 10 GiB by default. */
  readonly logBytes?: number;
  /** A backup is to be written into the log, which must be empty: marks it. */
  readonly restores?: boolean;
}

/** What became of one stream. */
export interface EnsuredStream {
  readonly name: string;
  readonly outcome: "created" | "updated" | "unchanged";
  readonly replicas: number;
  /** Its room; smaller than asked for when the server has less. */
  readonly maxBytes: number;
}

type Config = Readonly<Record<string, unknown>>;

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const nanosPerSecond = 1_000_000_000;

/** Named in every stream's metadata, so that a later version knows what it finds. */
const layout = "1";
const defaultLogBytes = 10 * GiB;
/** Three snapshots at most, of half a million pods at some 100 bytes each when packed. */
const snapshotsBytes = 512 * MiB;
/** No stream is made with less: a server with no more room than this cannot hold a cluster. */
const leastBytes = 16 * MiB;
/** The window in which the server answers a repeated message id with the sequence of the first. */
const duplicateWindow = 120 * nanosPerSecond;
/** Log readers: controllers, verifiers, people. */
const logConsumers = 256;
/** What the server is given to answer: making a stream syncs files. */
const apiMs = 10_000;

/** Room, history and readers of each bucket; its values are made anew from the log, so a small history is for people. */
const buckets: Readonly<Record<BucketName, { bytes: number; history: number; consumers: number; holds: string }>> = {
  // Every proxy watches it: thousands of readers.
  endpoints: { bytes: 512 * MiB, history: 1, consumers: 10_000, holds: "Where each service can be reached" },
  desired: { bytes: 512 * MiB, history: 5, consumers: 1000, holds: "Objects as users want them" },
  workloads: { bytes: 256 * MiB, history: 1, consumers: 1000, holds: "Workloads and their status" },
  nodes: { bytes: 256 * MiB, history: 1, consumers: 1000, holds: "Nodes and their status" },
  // Half a million pods of 2 KiB.
  pods: { bytes: GiB, history: 1, consumers: 1000, holds: "Pods and their status" },
};
/** A shard of endpoints or an object of a full apply, with headers. */
const valueBytes = 512 * KiB;
/** What servers take by default; `limits.eventBytes` is well below it. */
const recordBytes = MiB;

/**
 * Makes what is not there and updates what differs, as far as servers allow; idempotent. The room of an existing
 * stream is kept and its replicas are only ever raised, because an operator may have chosen them. Rejects with SERVER_TOO_OLD when more than one
 * replica is asked of a server below the production floor, LOG_RESTORING where the log is marked, but not to a restore that can begin; to a
 * restore LOG_NOT_EMPTY; TIMEOUT or JETSTREAM_ERROR.
 */
export async function ensureStreams(bus: Bus, cluster: string, options: EnsureOptions): Promise<EnsuredStream[]> {
  if (options.replicas > 1 && !bus.features.production) {
    throw new SwainError(
      "SERVER_TOO_OLD",
      `${options.replicas} replicas need nats-server ${productionFloor} or newer on every server; one is ${bus.features.version}`,
    );
  }
  const wasMarked = await refuseLog(bus, cluster, options);
  const wanted = [
    logConfig(bus, cluster, options),
    snapshotsConfig(bus, cluster, options),
    ...bucketOrder.map((bucket) => bucketConfig(bus, cluster, bucket, options)),
  ];
  const ensured: EnsuredStream[] = [];
  let share = 1;
  for (const config of wanted) {
    let result = await ensure(bus, scaled(config, share));
    // The server reserves the room of every stream. Where it has less, all new ones get half, and half again.
    while (result === "no room") {
      share /= 2;
      if (roomOf(config) * share < leastBytes) {
        throw new SwainError("JETSTREAM_ERROR", `the server has no room for stream ${String(config["name"])}`);
      }
      for (const [index, made] of ensured.entries()) {
        if (made.outcome === "created") ensured[index] = await shrink(bus, scaled(wanted[index] ?? config, share));
      }
      result = await ensure(bus, scaled(config, share));
    }
    ensured.push(result);
  }
  // Marked now: what a controller began until then is found here, and what it begins from now on it does not lead.
  if (options.restores === true) await refuseBegun(bus, cluster, wasMarked);
  return ensured;
}

/** Nobody but a restore touches a log that is marked, and a restore none in which there is anything. True where it is marked. */
async function refuseLog(bus: Bus, cluster: string, { restores = false }: EnsureOptions): Promise<boolean> {
  const { stream } = subjectsOf(cluster);
  const found = await apiResult<StreamInfo>(bus, `STREAM.INFO.${stream}`, undefined, apiMs);
  if (!("ok" in found)) return false;
  const { config, state } = found.ok;
  if (restores) refuseUnled(stream, found.ok);
  if (restores && state.last_seq === 0) return isMarked(config);
  refuseMarked(stream, config);
  if (restores) throw notEmpty(stream, state.last_seq);
  return false;
}

/**
 * Refuses the log to a restore that has marked it and finds it begun: whose it is must not be left with the mark. One that had
 * it before is being restored by another.
 */
async function refuseBegun(bus: Bus, cluster: string, wasMarked: boolean): Promise<void> {
  const { stream } = subjectsOf(cluster);
  const info = await apiCall<StreamInfo>(bus, `STREAM.INFO.${stream}`, undefined, apiMs);
  const { config, state } = info;
  refuseUnled(stream, info);
  if (state.last_seq === 0) return;
  if (wasMarked) refuseMarked(stream, config);
  await unmarkLog(bus, cluster);
  throw notEmpty(stream, state.last_seq);
}

/** Of a copy that hears no leader nobody knows the end. */
function refuseUnled(stream: string, info: StreamInfo): void {
  if (!isLed(info)) throw new SwainError("JETSTREAM_ERROR", `stream ${stream} has no leader`);
}

const notEmpty = (stream: string, last: number): SwainError =>
  new SwainError("LOG_NOT_EMPTY", `stream ${stream} ends at sequence ${last}`);

/** Takes the mark away: all of the backup is in the log. Rejects with TIMEOUT or JETSTREAM_ERROR. */
export async function unmarkLog(bus: Bus, cluster: string): Promise<void> {
  const { stream, eventAll } = subjectsOf(cluster);
  const { config } = await apiCall<StreamInfo>(bus, `STREAM.INFO.${stream}`, undefined, apiMs);
  await apiCall<StreamInfo>(bus, `STREAM.UPDATE.${stream}`, { ...config, subjects: [eventAll] }, apiMs);
}

/**
 * Makes the stream of the snapshots again when somebody deleted it, with as many copies as the log has. Rejects with TIMEOUT or
 * JETSTREAM_ERROR.
 */
export async function ensureSnapshots(bus: Bus, cluster: string): Promise<void> {
  await makeAgain(bus, cluster, (options) => snapshotsConfig(bus, cluster, options));
}

/** The same of a bucket. */
export async function ensureBucket(bus: Bus, cluster: string, bucket: BucketName): Promise<void> {
  await makeAgain(bus, cluster, (options) => bucketConfig(bus, cluster, bucket, options));
}

async function makeAgain(bus: Bus, cluster: string, configOf: (options: EnsureOptions) => Config): Promise<void> {
  // Where the log is gone as well, nothing else is made: what is left tells that there was one.
  const { config } = await apiCall<StreamInfo>(bus, `STREAM.INFO.${subjectsOf(cluster).stream}`, undefined, apiMs);
  const whole = configOf({ replicas: Math.max(1, Number(config["num_replicas"] ?? 1)) });
  for (let share = 1; ; share /= 2) {
    const wanted = scaled(whole, share);
    if ((await ensure(bus, wanted)) !== "no room") return;
    if (roomOf(wanted) < leastBytes) {
      throw new SwainError("JETSTREAM_ERROR", `the server has no room for stream ${String(wanted["name"])}`);
    }
  }
}

function roomOf(config: Config): number {
  return Number(config["max_bytes"]);
}

function scaled(config: Config, share: number): Config {
  return { ...config, max_bytes: Math.floor(roomOf(config) * share) };
}

function logConfig(bus: Bus, cluster: string, options: EnsureOptions): Config {
  const names = subjectsOf(cluster);
  return {
    ...common(bus, cluster, options),
    name: names.stream,
    description: `The log of the Swain cluster ${cluster}: every change, in order. Only the leading controller writes.`,
    subjects: options.restores === true ? [names.eventAll, names.restoring] : [names.eventAll],
    max_bytes: options.logBytes ?? defaultLogBytes,
    max_msg_size: recordBytes,
    max_msgs_per_subject: -1,
    max_consumers: logConsumers,
    // The leader cuts by purge what two snapshots hold.
    deny_delete: false,
    allow_rollup_hdrs: false,
    allow_direct: false,
  };
}

function snapshotsConfig(bus: Bus, cluster: string, options: EnsureOptions): Config {
  const names = subjectsOf(cluster);
  return {
    ...common(bus, cluster, options),
    name: names.snapshots,
    description: `Snapshots of the log of the Swain cluster ${cluster}, the two newest. Only the leading controller writes.`,
    subjects: [names.snapshotAll],
    max_bytes: snapshotsBytes,
    max_msg_size: recordBytes,
    max_msgs_per_subject: -1,
    max_consumers: logConsumers,
    // What two newer ones stand in for is removed by purge.
    deny_delete: false,
    allow_rollup_hdrs: false,
    allow_direct: false,
  };
}

function bucketConfig(bus: Bus, cluster: string, bucket: BucketName, options: EnsureOptions): Config {
  const names = subjectsOf(cluster);
  const name = names.buckets[bucket];
  const { bytes, history, consumers, holds } = buckets[bucket];
  return {
    ...common(bus, cluster, options),
    name: `KV_${name}`,
    description: `${holds} in the Swain cluster ${cluster}. Written by the controller from the log; edits are overwritten.`,
    subjects: [`$KV.${name}.>`],
    max_bytes: bytes,
    max_msg_size: valueBytes,
    max_msgs_per_subject: history,
    max_consumers: consumers,
    deny_delete: true,
    allow_rollup_hdrs: true,
    allow_direct: true,
    ...(bucket === "endpoints" ? { republish: { src: `$KV.${name}.>`, dest: names.endpointsAll } } : {}),
  };
}

function common(bus: Bus, cluster: string, options: EnsureOptions): Config {
  return {
    retention: "limits",
    storage: "file",
    discard: "new",
    num_replicas: options.replicas,
    max_msgs: -1,
    max_age: 0,
    duplicate_window: duplicateWindow,
    deny_purge: false,
    ...(featuresOf(bus.features.version).metadata
      ? { metadata: { "swain.cluster": cluster, "swain.layout": layout } }
      : {}),
  };
}

async function ensure(bus: Bus, wanted: Config, again = false): Promise<EnsuredStream | "no room"> {
  const name = String(wanted["name"]);
  const found = await apiResult<StreamInfo>(bus, `STREAM.INFO.${name}`, undefined, apiMs);
  if ("ok" in found) {
    const changed = changes(bus, found.ok.config, wanted);
    if (changed === undefined) return summary("unchanged", found.ok);
    return summary("updated", await apiCall<StreamInfo>(bus, `STREAM.UPDATE.${name}`, changed, apiMs));
  }
  if (found.failure.code !== apiCodes.streamNotFound) throw failed(`look at stream ${name}`, found.failure);
  const made = await apiResult<StreamInfo>(bus, `STREAM.CREATE.${name}`, wanted, apiMs);
  if ("ok" in made) return summary("created", made.ok);
  if (lacksRoom(made.failure)) return "no room";
  // Another controller made it a moment ago.
  if (made.failure.code === apiCodes.streamNameInUse && !again) return ensure(bus, wanted, true);
  throw failed(`make stream ${name}`, made.failure);
}

/**
 * A cluster has one code for all reasons not to place a stream. Only where want of room is the sole one are smaller streams
 * the answer: where a server is away, it would be there again with all its room.
 */
function lacksRoom({ code, description }: ApiFailure): boolean {
  if (code === apiCodes.noPeers) return /^[^,]*, insufficient storage$/.test(description);
  return code === apiCodes.storageExceeded;
}

/** Gives back room of a stream made a moment ago. */
async function shrink(bus: Bus, config: Config): Promise<EnsuredStream> {
  const verb = `STREAM.UPDATE.${String(config["name"])}`;
  return summary("created", await apiCall<StreamInfo>(bus, verb, config, apiMs));
}

/** The configuration to update to, or undefined when nothing differs. */
function changes(bus: Bus, current: Config, wanted: Config): Config | undefined {
  const next: Record<string, unknown> = { ...current, ...wanted };
  // Room was chosen when the stream was made, or by an operator since.
  if (Number(current["max_bytes"]) > 0) next["max_bytes"] = current["max_bytes"];
  next["num_replicas"] = Math.max(Number(current["num_replicas"]), Number(wanted["num_replicas"]));
  if (wanted["metadata"] !== undefined) {
    // Servers and people keep their own entries there.
    next["metadata"] = { ...(current["metadata"] as Config | undefined), ...(wanted["metadata"] as Config) };
  }
  // A restore has begun since this was looked for.
  if (isMarked(current)) next["subjects"] = current["subjects"];
  if (!featuresOf(bus.features.version).editMaxConsumers) next["max_consumers"] = current["max_consumers"];
  const differs = Object.keys(wanted).some((field) => !same(current[field], next[field]));
  return differs ? next : undefined;
}

/** Absent, false, zero and empty are one to a server, which leaves such fields out. */
function same(left: unknown, right: unknown): boolean {
  return plain(left) === plain(right);
}

function plain(value: unknown): string {
  if (value === undefined || value === null || value === false || value === 0 || value === "") return "";
  if (typeof value !== "object" || Array.isArray(value)) return JSON.stringify(value);
  return JSON.stringify(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)));
}

function summary(outcome: EnsuredStream["outcome"], { config }: StreamInfo): EnsuredStream {
  return {
    name: String(config["name"]),
    outcome,
    replicas: Number(config["num_replicas"]),
    maxBytes: Number(config["max_bytes"]),
  };
}
