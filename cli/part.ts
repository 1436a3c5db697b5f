// What the commands controller, agent and proxy have in common: they run one part of Swain in the foreground until a
// signal ends it, and say on standard output when it is ready.
import { hostname } from "node:os";
import type { Role } from "../services/bus/embedded/roles.ts";
import type { Running } from "../services/kernel/running.ts";
import { SwainError } from "../services/kernel/errors.ts";
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
export async function runPart<T extends Running>(
  call: Call,
  start: () => Promise<T>,
  ready: (running: T) => string,
): Promise<void> {
  const running = await start();
  try {
    if (!call.signal.aborted) call.terminal.out(`swain-ready ${ready(running)}\n`);
    await Promise.race([running.closed, aborted(call.signal)]);
  } finally {
    await running.stop();
  }
}
