// What the commands controller, agent and proxy have in common: they run one part of Swain in the foreground until a
// signal ends it, and say on standard output when it is ready.
import { hostname } from "node:os";
import type { ArgsDef } from "citty";
import type { TellBus } from "../services/bus/connect-news.ts";
import type { Role } from "../services/bus/embedded/roles.ts";
import type { JoinKind } from "../services/bus/join-token.ts";
import type { Insight, Observed } from "../services/kernel/insight.ts";
import type { Running } from "../services/kernel/running.ts";
import { SwainError } from "../services/kernel/errors.ts";
import type { StatusServer } from "../services/kernel/node/status-server.ts";
import { listenAddress } from "../services/kernel/listen-address.ts";
import { logFormats, logLevels } from "../services/kernel/log.ts";
import type { LogFormat, Logger, LogLevel } from "../services/kernel/log.ts";
import { aborted } from "./abort.ts";
import type { Call } from "./command.ts";
import { dataFolder, localCluster, localPaths } from "./local/layout.ts";
import type { LocalPaths } from "./local/layout.ts";
import { errorText } from "./output/error.ts";
import type { JoinWish } from "./join.ts";
import { readJoined } from "./local/joined-file.ts";
import type { Joined } from "./local/joined-file.ts";
import { clusterArgs, resolveSettings } from "./settings.ts";
import { notifySystemd, tellStarter } from "./notify.ts";
import type { Settings } from "./settings.ts";

/** The options of a part that may join from another machine. */
export const joinArgs = {
  join: {
    type: "string",
    valueHint: "TOKEN",
    description: "Join a cluster with the line of `swain node join-token` (- reads it from standard input)",
  },
  insecure: { type: "boolean", description: "With --join: accept a cluster that is reached without TLS" },
} as const;

/** The options that choose the cluster of a part; its --data is its own folder. */
export const partArgs = {
  server: clusterArgs.server,
  cluster: clusterArgs.cluster,
  creds: clusterArgs.creds,
  context: clusterArgs.context,
} as const;

/** How a part is operated. */
export const operateArgs = {
  http: {
    type: "string" as const,
    valueHint: "ADDR",
    description: "Serve /health, /ready and /metrics at HOST:PORT, or PORT on loopback (default: off)",
  },
  "log-level": {
    type: "enum" as const,
    options: [...logLevels],
    description: "The least that is logged (SWAIN_LOG; info)",
  },
  "log-format": {
    type: "enum" as const,
    options: [...logFormats],
    description: "Of the log on standard error (SWAIN_LOG_FORMAT; pretty on a terminal, else json)",
  },
} satisfies ArgsDef;

/** The id of --id, else one made of the hostname. Throws INVALID_ARGUMENT. */
export function partId(call: Call, prefix: string): string {
  const host = hostname()
    .toLowerCase()
    .replace(/\..*$/, "")
    .replaceAll(/[^a-z0-9-]+/g, "-")
    .replaceAll(/^-+|-+$/g, "");
  const id = call.option("id") ?? `${prefix}${host === "" ? "1" : host}`.slice(0, 63);
  if (/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(id)) return id;
  throw new SwainError("INVALID_ARGUMENT", `"${id}" is no id: lower-case letters, digits and hyphens, at most 63`);
}

export interface Place {
  /** Of the node or the proxy. */
  readonly id: string;
  readonly settings: Settings;
  /** The part's own folder. */
  readonly folder: string;
}

export interface PlaceOptions {
  readonly kind: JoinKind;
  /** Whose key is used on the machine of `swain up`. */
  readonly role: (id: string) => Role;
  /** Its folder below one of `swain up`. */
  readonly below: (paths: LocalPaths, id: string) => string;
}

/** Options that name a cluster: said, they count more than what was joined. */
const namesCluster = ["server", "context", "creds", "cluster"] as const;

/**
 * The cluster of an agent or a proxy and its own folder. --data is that folder; when it is one that `swain up` started a
 * cluster in, the part belongs to that cluster and gets a folder below it. With --join it joins first, unless it has from
 * that folder. Throws what the settings and `joinCluster` throw.
 */
export async function partPlace(call: Call, { kind, role, below }: PlaceOptions): Promise<Place> {
  const { env } = call;
  const data = call.option("data");
  const given = dataFolder(data, env);
  const isShared = data === undefined || localCluster(given) !== null;
  const kept = isShared ? undefined : readJoined(given)?.id;
  const id = kept !== undefined && call.option("id") === undefined ? kept : partId(call, "");
  const folder = isShared ? below(localPaths(given), id) : given;
  const joined = await joinedPlace(call, { kind, id, folder });
  if (joined !== null) {
    const { server, cluster, creds } = joined;
    return { id, folder, settings: { server, cluster, creds, source: `what was joined in ${folder}` } };
  }
  const option = (name: string): string | undefined => (name === "data" && !isShared ? undefined : call.option(name));
  const settings = await resolveSettings({ option, env }, role(id));
  return { id, folder, settings };
}

async function joinedPlace(call: Call, wish: JoinWish): Promise<Joined | null> {
  const token = call.option("join");
  const named = namesCluster.find((name) => call.option(name) !== undefined);
  if (token === undefined && call.flag("insecure")) {
    throw new SwainError("INVALID_ARGUMENT", "--insecure belongs to --join");
  }
  if (token !== undefined && named !== undefined) {
    throw new SwainError("INVALID_ARGUMENT", `--join and --${named} exclude each other: the token names the cluster`);
  }
  const found = named === undefined ? readJoined(wish.folder) : null;
  const kept = found?.id === wish.id ? found : null;
  if (token === undefined) return kept;
  const { joinAnew, joinCluster } = await import("./join.ts");
  return kept === null ? joinCluster(call, wish) : joinAnew(call, wish, kept);
}

/** The log of a part: --log-level and --log-format. */
export async function partLog(call: Call): Promise<Logger> {
  const { processLogger } = await import("../services/kernel/node/log.ts");
  const level = call.option("log-level") as LogLevel | undefined;
  const format = call.option("log-format") as LogFormat | undefined;
  return processLogger({ ...(level === undefined ? {} : { level }), ...(format === undefined ? {} : { format }) });
}

/**
 * For a part that does its work without the bus: says on standard error, at once, why it cannot be used, with the cure,
 * and when it can. `meanwhile` tells what the part does until then.
 */
export function tellBus(call: Call, meanwhile: string): TellBus {
  return (problem) => {
    if (problem === null) call.terminal.err("the bus can be used now\n");
    else call.terminal.err(`${errorText(problem)}  It goes on trying; ${meanwhile} meanwhile.\n`);
  };
}

/** Starts it, says so, and stops it in order on a signal. Throws what starting it or running it throws. */
export async function runPart<T extends Running & Observed>(
  call: Call,
  start: () => Promise<T>,
  ready: (running: T) => string,
): Promise<void> {
  let running: T | undefined;
  // Before it is started: a part that waits for the bus can be told from one that hangs.
  const status = await openStatus(call, () => running?.insight);
  try {
    running = await start();
    const words = [ready(running), ...(status === undefined ? [] : [`http=${status.address}`])];
    if (!call.signal.aborted) {
      call.terminal.out(`swain-ready ${words.join(" ")}\n`);
      tellStarter({ ready: true });
      await notifySystemd(call, "READY=1");
    }
    await Promise.race([running.closed, aborted(call.signal)]);
  } finally {
    if (running !== undefined) await notifySystemd(call, "STOPPING=1");
    try {
      await running?.stop();
    } finally {
      await status?.close();
    }
  }
}

/** The server of --http; undefined without it. Throws INVALID_ARGUMENT, PORT_IN_USE and LISTEN_FAILED. */
async function openStatus(call: Call, insight: () => Insight | undefined): Promise<StatusServer | undefined> {
  const text = call.option("http");
  if (text === undefined) return undefined;
  const { serveStatus } = await import("../services/kernel/node/status-server.ts");
  return serveStatus(listenAddress(text, "--http"), insight);
}
