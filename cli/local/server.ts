// The nats-server of a local cluster: found, configured, and where it listens.
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { join } from "node:path";
import { configText } from "../../services/bus/embedded/config.ts";
import { ensureUsers, readSeed } from "../../services/bus/embedded/keys.ts";
import { compareVersions, resolveServer } from "../../services/bus/embedded/resolve.ts";
import type { ServerProgram } from "../../services/bus/embedded/resolve.ts";
import type { Role } from "../../services/bus/embedded/roles.ts";
import { startServer } from "../../services/bus/embedded/start.ts";
import { featuresOf, productionFloor } from "../../services/bus/features.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { systemDisk } from "../../services/kernel/node/disk.ts";
import type { Launched } from "./launch.ts";
import type { LocalPaths } from "./layout.ts";

export interface ServerOptions {
  readonly paths: LocalPaths;
  readonly cluster: string;
  readonly roles: readonly Role[];
  /** A path the user named. */
  readonly program?: string | undefined;
  /** A port the user named. */
  readonly port?: number | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface PreparedServer {
  readonly program: ServerProgram;
  readonly url: string;
  /** Starts it once; tells the process as soon as there is one. */
  readonly launch: (onSpawn: (pid: number) => void, signal: AbortSignal) => Promise<Launched>;
}

const host = "127.0.0.1";
const usualPort = 4222;

/** Finds the server, makes keys and configuration. Rejects with NATS_SERVER_MISSING, PORT_IN_USE, CHECKSUM_MISMATCH … */
export async function prepareServer(options: ServerOptions): Promise<PreparedServer> {
  const { paths, say } = options;
  const program = await resolveServer({ explicit: options.program, env: options.env, say, signal: options.signal });
  say(`nats-server ${program.version} at ${program.path} (found: ${program.found})`);
  for (const warning of serverWarnings(program.version)) say(`warning: ${warning}`);
  const config = join(paths.nats, "nats-server.conf");
  const port = await choosePort(options, await lastPort(config));
  const users = await ensureUsers(systemDisk, paths.creds, options.roles);
  const text = configText({
    cluster: options.cluster,
    host,
    port,
    store: join(paths.nats, "store"),
    syncAlways: featuresOf(program.version).syncAlways,
    users,
  });
  await systemDisk.writeAtomic(config, text);
  const seed = await readSeed(systemDisk, paths.creds, "controller");
  const url = `nats://${host}:${port}`;
  const log = join(paths.log, "nats-server.log");
  const pidFile = join(paths.nats, "nats-server.pid");
  return {
    program,
    url,
    launch: (onSpawn, signal) =>
      startServer({ program: program.path, config, url, log, pidFile, seed, onSpawn, signal }),
  };
}

/** What people should know about that version before they rely on it. */
export function serverWarnings(version: string): string[] {
  if (compareVersions(version, "2.12.0") < 0) {
    return [`nats-server ${version} is fit for development only; production needs ${productionFloor}`];
  }
  if (featuresOf(version).production) return [];
  return [`nats-server ${version} lacks security fixes; production needs ${productionFloor}`];
}

/** The port this folder's server had before: clients that know it should find it again. */
async function lastPort(config: string): Promise<number | undefined> {
  const found = /^listen: ".*:(\d+)"$/m.exec((await systemDisk.read(config)) ?? "")?.[1];
  return found === undefined ? undefined : Number(found);
}

async function choosePort(options: ServerOptions, last: number | undefined): Promise<number> {
  if (options.port !== undefined) {
    if (await isFree(options.port)) return options.port;
    throw new SwainError("PORT_IN_USE", `something listens at ${host}:${options.port} already`);
  }
  for (const port of [last, usualPort]) {
    if (port !== undefined && (await isFree(port))) return port;
  }
  const port = await freeLoopbackPort();
  options.say(`port ${last ?? usualPort} is taken, so NATS listens on ${port}`);
  return port;
}

/** A loopback port that is free now. Below the range systems hand out by themselves, so that no outgoing connection takes it. */
export async function freeLoopbackPort(): Promise<number> {
  for (let tries = 0; tries < 50; tries++) {
    const port = randomInt(14_000, 30_000);
    if (await isFree(port)) return port;
  }
  throw new SwainError("PORT_IN_USE", `no free port was found at ${host}`);
}

/** True when the loopback port can be bound now. */
export function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, host, () => probe.close(() => resolve(true)));
  });
}
