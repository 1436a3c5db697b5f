// Which cluster a command talks to: by flag, then by environment, then by a context of the `nats` CLI, then what
// `swain up` started in the default data folder, at last a server on this machine. An explicit --data is a flag.
import type { ArgsDef } from "citty";
import type { Role } from "../services/bus/embedded/roles.ts";
import { SwainError } from "../services/kernel/errors.ts";
import type { Call } from "./command.ts";
import { dataFolder, localCluster } from "./local/layout.ts";
import type { LocalCluster } from "./local/layout.ts";
import { natsContext } from "./nats-contexts.ts";

/** The options that choose the cluster; every command that talks to one has them. */
export const clusterArgs = {
  server: { type: "string", valueHint: "URL", description: "NATS server (SWAIN_SERVER)" },
  cluster: { type: "string", valueHint: "NAME", description: "Name of the cluster (SWAIN_CLUSTER; default)" },
  creds: { type: "string", valueHint: "FILE", description: "NATS creds file or nkey seed (SWAIN_CREDS)" },
  context: { type: "string", valueHint: "NAME", description: "A context of the `nats` CLI" },
  data: { type: "string", valueHint: "DIR", description: "What `swain up` started there (SWAIN_DATA)" },
} as const satisfies ArgsDef;

export interface Settings {
  readonly server: string;
  readonly cluster: string;
  /** Path. */
  readonly creds?: string;
  /** Where these come from, for error messages: `--server`, `nats context prod`. */
  readonly source: string;
}

/** Looks for what `swain up` started from a data folder; null when there is nothing. */
export type FindLocal = (dataDir: string) => LocalCluster | null;

type Env = Call["env"];

const nonEmpty = (text: string | undefined): string | undefined => (text === "" ? undefined : text);

const lastResort = "nats://127.0.0.1:4222";

type Origin = { server: string; cluster?: string; creds?: string; source: string; byFlag: boolean };

/** The settings of a call. Throws INVALID_ARGUMENT for a context that is not there, NOT_RUNNING for a named data folder without a cluster, DATA_UNREADABLE. */
export async function resolveSettings(
  { option, env }: Pick<Call, "env" | "option">,
  role: Role = "operator",
  findLocal: FindLocal = localCluster,
): Promise<Settings> {
  const origin = await originOf(option, env, (folder, source, byFlag) => {
    const found = findLocal(folder);
    const creds = found?.creds(role);
    const access = creds === undefined ? {} : { creds };
    return found && { server: found.server, cluster: found.cluster, ...access, source, byFlag };
  });
  const envCreds = origin.byFlag && origin.creds !== undefined ? undefined : nonEmpty(env.SWAIN_CREDS);
  const creds = option("creds") ?? envCreds ?? origin.creds;
  const envCluster = origin.byFlag && origin.cluster !== undefined ? undefined : nonEmpty(env.SWAIN_CLUSTER);
  const cluster = option("cluster") ?? envCluster ?? origin.cluster ?? "default";
  if (!/^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/.test(cluster)) {
    throw new SwainError("INVALID_ARGUMENT", `"${cluster}" is no name of a cluster: a DNS label of at most 32`);
  }
  return { server: origin.server, cluster, source: origin.source, ...(creds === undefined ? {} : { creds }) };
}

type Local = (folder: string, source: string, byFlag: boolean) => Origin | null;

async function originOf(option: Call["option"], env: Env, local: Local): Promise<Origin> {
  const server = option("server");
  const data = option("data");
  const mustRun = (folder: string): never => {
    throw new SwainError("NOT_RUNNING", `no cluster was started with --data ${folder}`);
  };
  if (server !== undefined) {
    // Credentials of a data folder named along with the server are still the ones to use.
    const found = data === undefined ? null : local(dataFolder(data, env), "--server", true);
    return { ...found, server, source: "--server", byFlag: true };
  }
  if (data !== undefined) return local(dataFolder(data, env), `--data ${data}`, true) ?? mustRun(data);
  const context = option("context");
  if (context !== undefined) return fromContext(env, context, true) as Promise<Origin>;
  const envServer = nonEmpty(env.SWAIN_SERVER);
  if (envServer !== undefined) return { server: envServer, source: "SWAIN_SERVER", byFlag: false };
  const envData = nonEmpty(env.SWAIN_DATA);
  if (envData !== undefined)
    return local(dataFolder(undefined, env), `SWAIN_DATA ${envData}`, false) ?? mustRun(envData);
  return (
    (await fromContext(env, undefined, false)) ??
    local(dataFolder(undefined, env), "swain up", false) ?? {
      server: lastResort,
      source: "the default",
      byFlag: false,
    }
  );
}

async function fromContext(env: Env, name: string | undefined, byFlag: boolean): Promise<Origin | null> {
  const context = await natsContext(env, name);
  if (context === null) return null;
  const { url, creds } = context;
  return { server: url, source: `nats context ${context.name}`, byFlag, ...(creds === undefined ? {} : { creds }) };
}
