// What `doctor` looks at over the bus: the server, JetStream, the streams' room, the leader, nodes and their clocks.
import { readFileSync } from "node:fs";
import type { Heartbeat, LeaderBeat, NodeObject } from "../../schemas/generated/types.ts";
import { productionFloor } from "../../services/bus/features.ts";
import { apiCall, apiCodes, apiResult } from "../../services/bus/jetstream-api.ts";
import type { StreamInfo } from "../../services/bus/jetstream-api.ts";
import { limits } from "../../services/bus/limits.ts";
import { idOf } from "../../services/bus/subjects.ts";
import { sleep } from "../../services/kernel/clock.ts";
import { asSwainError, isCode } from "../../services/kernel/errors.ts";
import type { Client } from "../client.ts";
import { localPaths, visibleRecord } from "../local/layout.ts";
import { naturally } from "../natural.ts";
import { because } from "../output/rows.ts";
import { memoryText } from "../output/units.ts";
import { bad, ok, warn } from "./finding.ts";
import type { Finding } from "./finding.ts";

/** A leader beats each 500 ms and an agent each second: two beats of either are heard in this time. */
const listenMs = 2200;
/** Clocks kept by NTP differ by far less; logs of two nodes are then still read in the right order by people. */
const mostSkewMs = 500;
/** Writing takes milliseconds, and through an election among servers some seconds. */
const mostLagMs = 10_000;
/** A server stands still for a moment, as while its disk is slow. */
const mostSilentMs = 5000;
/** From here on there is time left to act. */
const fullShare = 0.8;

/** All that can be found with a connection, in the order in which one thing rests on another. */
export async function checkCluster(client: Client, server: string, data: string): Promise<Finding[]> {
  const findings = [await roundTrip(client, server), version(client)];
  const heard = await listen(client);
  try {
    findings.push(
      await jetStream(client),
      syncing(client, data),
      ...(await rooms(client)),
      ...(await snapshots(client)),
    );
  } catch (error) {
    const { code, message } = asSwainError(error);
    findings.push(bad("JetStream", code, message));
  }
  findings.push(leader(heard), ...clocks(heard));
  if (heard.beats.length > 0) {
    findings.push(...saidByLeader(await client.ask("_", "cluster", "status", {})), ...(await nodes(client)));
  }
  return findings;
}

async function roundTrip(client: Client, server: string): Promise<Finding> {
  const began = client.clock.mono();
  await client.bus.flush(limits.requestTimeoutMs);
  return ok("server", `${server} answers in ${(client.clock.mono() - began).toFixed(1)} ms`);
}

function version({ bus }: Client): Finding {
  const { version: found, production } = bus.features;
  return production
    ? ok("version", `nats-server ${found}`)
    : warn("version", "SERVER_TOO_OLD", `nats-server ${found} is for development; production needs ${productionFloor}`);
}

async function jetStream({ bus }: Client): Promise<Finding> {
  interface Account {
    readonly storage: number;
    readonly streams: number;
    readonly limits?: { readonly max_storage?: number };
  }
  const { storage, streams, limits: bounds } = await apiCall<Account>(bus, "INFO", {});
  const most = bounds?.max_storage ?? -1;
  const message = `${memoryText(storage)}${most > 0 ? ` of ${memoryText(most)}` : ""} stored in ${streams} streams`;
  return most > 0 && storage > most * fullShare ? warn("JetStream", "ROOM_LOW", message) : ok("JetStream", message);
}

/** Whether each write is synced: told by the configuration of a server of our own; others do not say. */
function syncing({ bus }: Client, data: string): Finding {
  if (!bus.features.syncAlways) {
    return warn("sync", "WRITES_NOT_SYNCED", `nats-server ${bus.features.version} cannot sync each write`);
  }
  if (visibleRecord(data)?.ownServer !== true)
    return ok("sync", "this server can sync each write; ask its configuration");
  let config = "";
  try {
    config = readFileSync(localPaths(data).serverConfig, "utf8");
  } catch {
    return ok("sync", "this server can sync each write; its configuration may not be read");
  }
  return /^\s*sync_interval\s*[:=]?\s*"?always/m.test(config)
    ? ok("sync", "each write is on disk before it is acknowledged")
    : warn("sync", "WRITES_NOT_SYNCED", "the server's configuration does not say `sync_interval: always`");
}

async function rooms({ bus, subjects }: Client): Promise<Finding[]> {
  const names = [
    subjects.stream,
    subjects.snapshots,
    ...Object.values(subjects.buckets).map((bucket) => `KV_${bucket}`),
  ];
  const findings: Finding[] = [];
  const shares: string[] = [];
  const all = [];
  for (const name of names) all.push({ name, found: await apiResult<StreamInfo>(bus, `STREAM.INFO.${name}`, {}) });
  const isLeft = all.some(({ found }) => "ok" in found);
  for (const { name, found } of all) {
    if ("failure" in found) {
      const { code, description } = found.failure;
      // Gone alone, it is not made anew by anybody.
      const isLogGone = isLeft && name === subjects.stream && code === apiCodes.streamNotFound;
      findings.push(bad("streams", isLogGone ? "LOG_INCOMPLETE" : "JETSTREAM_ERROR", `${name}: ${description}`));
      continue;
    }
    const most = Number(found.ok.config["max_bytes"] ?? -1);
    const { bytes } = found.ok.state;
    const text = `${name} ${memoryText(bytes)}${most > 0 ? ` of ${memoryText(most)}` : ""}`;
    if (most > 0 && bytes > most * fullShare) findings.push(warn("streams", "ROOM_LOW", text));
    else if (name === subjects.stream) shares.push(`${text}, ${found.ok.state.messages} records`);
  }
  return findings.length > 0 ? findings : [ok("streams", `all there; ${shares.join("")}`)];
}

/** Read through as the leader does on taking over. */
async function snapshots({ bus, cluster, subjects, clock, ids }: Client): Promise<Finding[]> {
  const { checkSnapshots } = await import("../../services/controller/snapshot/work.ts");
  const { systemPacking } = await import("../../services/kernel/node/packing.ts");
  const looked = await checkSnapshots({ bus, cluster, subjects, clock, ids, packing: systemPacking }).catch(
    asSwainError,
  );
  if (looked instanceof Error) return [bad("snapshots", looked.code, looked.message)];
  const { verified, problems } = looked;
  if (problems.length > 0) return problems.map(({ code, message }) => warn("snapshots", code, message));
  const [newest] = verified;
  if (newest === undefined) return [ok("snapshots", "none yet, and the log has its beginning")];
  return [ok("snapshots", `${verified.length} good; the newest is of sequence ${newest.sequence}`)];
}

interface Heard {
  readonly beats: readonly LeaderBeat[];
  /** The least difference of a clock to ours, of several messages: the rest of it is the way. Milliseconds, ahead is positive. */
  readonly skews: ReadonlyMap<string, number>;
}

async function listen(client: Client): Promise<Heard> {
  const { bus, subjects, clock, signal } = client;
  const beats: LeaderBeat[] = [];
  const skews = new Map<string, number>();
  const measure = (who: string, time: number | undefined): void => {
    if (time === undefined) return;
    const skew = time - clock.wall();
    if (Math.abs(skew) < Math.abs(skews.get(who) ?? Infinity)) skews.set(who, skew);
  };
  const stops = [
    bus.subscribe(subjects.leader, (message) => {
      const beat = message.json() as LeaderBeat | undefined;
      if (beat === undefined) return;
      beats.push(beat);
      measure(`leader ${beat.leader}`, beat.time);
    }),
    bus.subscribe(subjects.node.heartbeat("*"), (message) => {
      measure(`node ${idOf(message.subject)}`, (message.json() as Heartbeat | undefined)?.time);
    }),
  ];
  try {
    await sleep(clock, listenMs, signal);
  } finally {
    for (const stop of stops) stop();
  }
  return { beats, skews };
}

function leader({ beats }: Heard): Finding {
  const last = beats.at(-1);
  if (last === undefined) return bad("leader", "NO_LEADER", `no beat was heard in ${listenMs / 1000} s`);
  const several = new Set(beats.map(({ epoch }) => epoch)).size > 1;
  const message = `${last.leader} leads in epoch ${last.epoch}, log at ${last.sequence}; ${beats.length} beats in ${listenMs / 1000} s`;
  return several
    ? warn("leader", "NO_LEADER", `it changed while this was looked at: ${message}`)
    : ok("leader", message);
}

function clocks({ skews }: Heard): Finding[] {
  if (skews.size === 0) return [];
  const sorted = [...skews].toSorted(([a], [b]) => naturally(a, b));
  const wrong = sorted.filter(([, skew]) => Math.abs(skew) > mostSkewMs);
  const said = ([who, skew]: readonly [string, number]): string =>
    `${who} is ${Math.abs(Math.round(skew))} ms ${skew > 0 ? "ahead of" : "behind"} this machine`;
  if (wrong.length > 0) return wrong.slice(0, 10).map((one) => warn("clocks", "CLOCK_SKEW", said(one)));
  const [most] = sorted.toSorted(([, a], [, b]) => Math.abs(b) - Math.abs(a));
  return [ok("clocks", `${skews.size} compared; at most ${most === undefined ? "" : said(most)}, way included`)];
}

/** What the leader says of itself: whether it hears its server, and whether the buckets follow the log. */
export function saidByLeader({ projectionLag, deafMs }: Readonly<Record<string, unknown>>): Finding[] {
  // An earlier version does not say it.
  const silentMs = Number(deafMs ?? 0);
  const slow = `the server has not answered the leader in time for ${Math.round(silentMs / 1000)} s`;
  const hearing = silentMs > mostSilentMs ? [bad("leader", "SERVER_SLOW", slow)] : [];
  return [...hearing, buckets(projectionLag as { keys: number; ms: number })];
}

function buckets({ keys, ms }: { keys: number; ms: number }): Finding {
  if (ms < mostLagMs) return ok("buckets", keys === 0 ? "all written" : `${keys} keys being written`);
  return bad("buckets", "PROJECTIONS_LATE", `${keys} keys have not been written for ${Math.round(ms / 1000)} s`);
}

async function nodes(client: Client): Promise<Finding[]> {
  const all = (await client.list("_", "node")) as unknown as NodeObject[];
  if (all.length === 0) return [warn("nodes", "NO_NODES", "there are none")];
  const sorted = all.toSorted((a, b) => naturally(a.metadata.name, b.metadata.name));
  const of = (state: string, finding: typeof bad): Finding[] => {
    const those = sorted.filter(({ status }) => status.state === state);
    const reasons = new Set(those.map(({ status }) => status.reason));
    // A node that was emptied on purpose has a reason, too.
    for (const harmless of ["", "DRAINED"]) reasons.delete(harmless);
    return [...reasons].map((reason) => {
      const same = those.filter(({ status }) => status.reason === reason);
      return finding("nodes", isCode(reason) ? reason : "INTERNAL", nodesText(same, all.length));
    });
  };
  const findings = [...of("unknown", bad), ...of("ready", warn)];
  return findings.length > 0 ? findings : [ok("nodes", `${all.length} ready`)];
}

/** How many, which (of many the first), and why the first of them. */
function nodesText(nodes: readonly NodeObject[], total: number): string {
  const names = nodes.slice(0, 5).map(({ metadata }) => metadata.name);
  const { reason = "", message = "" } = nodes[0]?.status ?? {};
  return `${nodes.length} of ${total}: ${names.join(", ")} (${because(reason, message)})`;
}
