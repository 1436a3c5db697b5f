// What the commands controller, agent and proxy have in common: they run one part of Swain in the foreground until a
// signal ends it, and say on standard output when it is ready.
import { hostname } from "node:os";
import type { Role } from "../services/bus/embedded/roles.ts";
import type { Insight, Observed } from "../services/kernel/insight.ts";
import type { Running } from "../services/kernel/running.ts";
import { SwainError } from "../services/kernel/errors.ts";
import type { StatusServer } from "../services/kernel/node/status-server.ts";
import { aborted } from "./abort.ts";
import type { Call } from "./command.ts";
import { dataFolder, localCluster, localPaths } from "./local/layout.ts";
import type { LocalPaths } from "./local/layout.ts";
import { clusterArgs, resolveSettings } from "./settings.ts";
import type { Settings } from "./settings.ts";

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
    type: "string",
    valueHint: "ADDR",
    description: "Serve /health, /ready and /metrics at HOST:PORT, or PORT on loopback (default: off)",
  },
} as const;

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
  readonly settings: Settings;
  /** The part's own folder. */
  readonly folder: string;
}

/**
 * The cluster of an agent or a proxy and its own folder. --data is that folder; when it is one that `swain up` started a
 * cluster in, the part joins that cluster and gets a folder below it. Throws what the settings throw.
 */
export async function partPlace(call: Call, role: Role, below: (paths: LocalPaths) => string): Promise<Place> {
  const { env } = call;
  const data = call.option("data");
  const folder = dataFolder(data, env);
  const joins = data === undefined || localCluster(folder) !== null;
  const option = (name: string): string | undefined => (name === "data" && !joins ? undefined : call.option(name));
  const settings = await resolveSettings({ option, env }, role);
  return { settings, folder: joins ? below(localPaths(folder)) : folder };
}

/** Starts it, says so, and stops it in order on a signal. Throws what starting it or running it throws. */
export async function runPart<T extends Running & Observed>(
  call: Call,
  start: () => Promise<T>,
  ready: (running: T) => string,
): Promise<void> {
  let running: T | undefined;
  // From the first moment on: a part that waits for the bus can be told from one that hangs.
  const status = await openStatus(call, () => running?.insight);
  try {
    running = await start();
    const words = [ready(running), ...(status === undefined ? [] : [`http=${status.address}`])];
    if (!call.signal.aborted) call.terminal.out(`swain-ready ${words.join(" ")}\n`);
    await Promise.race([running.closed, aborted(call.signal)]);
  } finally {
    await running?.stop();
    await status?.close();
  }
}

/** The server of --http; undefined without it. Throws INVALID_ARGUMENT, PORT_IN_USE and LISTEN_FAILED. */
async function openStatus(call: Call, insight: () => Insight | undefined): Promise<StatusServer | undefined> {
  const text = call.option("http");
  if (text === undefined) return undefined;
  const { serveStatus, statusAddress } = await import("../services/kernel/node/status-server.ts");
  return serveStatus(statusAddress(text), insight);
}
