// The nats-server of a local cluster: found, configured, and where it listens.
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { join } from "node:path";
import { ensureCertificates } from "../../services/bus/embedded/certificates.ts";
import type { Certificates } from "../../services/bus/embedded/certificates.ts";
import { configText } from "../../services/bus/embedded/config.ts";
import type { User } from "../../services/bus/embedded/config.ts";
import { ensureUsers, readSeed } from "../../services/bus/embedded/keys.ts";
import { usersOf } from "../../services/bus/embedded/registry.ts";
import { compareVersions, resolveServer } from "../../services/bus/embedded/resolve.ts";
import type { ServerProgram } from "../../services/bus/embedded/resolve.ts";
import type { Role } from "../../services/bus/embedded/roles.ts";
import { startServer } from "../../services/bus/embedded/start.ts";
import { featuresOf, productionFloor } from "../../services/bus/features.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemDisk } from "../../services/kernel/node/disk.ts";
import { innerHost, isWildcard, serverUrl } from "./addresses.ts";
import type { Launched } from "./launch.ts";
import { authorityBeside } from "./layout.ts";
import type { LocalPaths } from "./layout.ts";
import { readRegistry } from "./members.ts";

export interface ServerOptions {
  readonly paths: LocalPaths;
  readonly cluster: string;
  readonly roles: readonly Role[];
  /** A path the user named. */
  readonly program?: string | undefined;
  /** A port the user named. */
  readonly port?: number | undefined;
  /** How other machines reach it; undefined to stay on loopback. */
  readonly outside?: Outside | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** What other machines may reach. */
export interface Outside {
  /** The address to listen at. */
  readonly listen: string;
  /** The addresses and names others use. */
  readonly hosts: readonly string[];
  /** False only when the user said so. */
  readonly tls: boolean;
}

export interface PreparedServer {
  readonly program: ServerProgram;
  /** Where this machine's parts reach it. */
  readonly url: string;
  /** Where other machines reach it; empty on loopback alone. */
  readonly servers: readonly string[];
  /** The authority, PEM; null without TLS. */
  readonly ca: string | null;
  /** The users of this machine's own parts. */
  readonly users: readonly User[];
  /** Writes the configuration anew, with users beside the own ones. */
  readonly configure: (joined: readonly User[]) => Promise<void>;
  /** Makes its certificate anew when that nears its end; true when a running server has to read it. Rejects with DISK_ERROR. */
  readonly renewCertificate: () => Promise<boolean>;
  /** Starts it once; tells the process as soon as there is one. */
  readonly launch: (onSpawn: (pid: number) => void, signal: AbortSignal) => Promise<Launched>;
}

const loopback = "127.0.0.1";
const usualPort = 4222;

/** Finds the server, makes keys and configuration. Rejects with NATS_SERVER_MISSING, PORT_IN_USE, CHECKSUM_MISMATCH … */
export async function prepareServer(options: ServerOptions): Promise<PreparedServer> {
  const { paths, say } = options;
  const program = await resolveServer({ explicit: options.program, env: options.env, say, signal: options.signal });
  say(`nats-server ${program.version} at ${program.path} (found: ${program.found})`);
  for (const warning of serverWarnings(program.version)) say(`warning: ${warning}`);
  const { outside } = options;
  const host = outside?.listen ?? loopback;
  const config = paths.serverConfig;
  const registry = await readRegistry(paths);
  const port = await choosePort(options, host, await lastPort(config), registry.members.length > 0);
  const users = await ensureUsers(systemDisk, paths.creds, options.roles);
  const clash = registry.members.find(({ role }) => options.roles.includes(role));
  if (clash !== undefined) {
    throw new SwainError("NODE_ID_TAKEN", `a machine joined as ${clash.role}, which would be a node of this one, too`);
  }
  const certificates = outside?.tls === true ? await ensureTls(options, outside) : null;
  const configure = (joined: readonly User[]): Promise<void> =>
    systemDisk.writeAtomic(
      config,
      configText({
        cluster: options.cluster,
        host,
        port,
        store: join(paths.nats, "store"),
        syncAlways: featuresOf(program.version).syncAlways,
        users: [...users, ...joined],
        tls: certificates?.paths,
      }),
    );
  await configure(usersOf(registry));
  const seed = await readSeed(systemDisk, paths.creds, "controller");
  const scheme = certificates === null ? "nats" : "tls";
  const url = serverUrl(scheme, innerHost(host), port);
  const ca = certificates?.ca;
  const log = join(paths.log, "nats-server.log");
  const pidFile = paths.serverPid;
  const onSlow = (): void => say(`nats-server does not listen yet: it may be recovering its store (log: ${log})`);
  return {
    program,
    url,
    servers: (outside?.hosts ?? []).map((name) => serverUrl(scheme, name, port)),
    ca: ca ?? null,
    users,
    configure,
    renewCertificate: async () => outside?.tls === true && (await ensureTls(options, outside)).renewed,
    launch: (onSpawn, signal) =>
      startServer({ program: program.path, config, url, host, ca, log, pidFile, seed, onSpawn, onSlow, signal }),
  };
}

/** The certificates, and the authority's beside the keys, where every connection of this machine finds it. */
async function ensureTls({ paths, cluster }: ServerOptions, { hosts, listen }: Outside): Promise<Certificates> {
  const all = isWildcard(listen) ? hosts : [...hosts, listen];
  const made = await ensureCertificates(systemDisk, paths.tls, { cluster, hosts: all, now: systemClock.wall() });
  await systemDisk.writeAtomic(authorityBeside(paths.creds), made.ca);
  return made;
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

async function choosePort(
  options: ServerOptions,
  host: string,
  last: number | undefined,
  isJoined: boolean,
): Promise<number> {
  // Machines that joined know the server by its port, so another one is no way out.
  const fixed = options.port ?? (isJoined ? last : undefined);
  if (fixed !== undefined) {
    if (await isFree(fixed, host)) return fixed;
    throw new SwainError("PORT_IN_USE", `something listens at ${host}:${fixed} already`);
  }
  for (const port of [last, usualPort]) {
    if (port !== undefined && (await isFree(port, host))) return port;
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
  throw new SwainError("PORT_IN_USE", `no free port was found at ${loopback}`);
}

/** True when the port can be bound now. Rejects with LISTEN_FAILED when the address is not this machine's. */
export function isFree(port: number, host = loopback): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRNOTAVAIL" && error.code !== "ENOTFOUND") return resolve(false);
      reject(new SwainError("LISTEN_FAILED", `cannot listen at ${host}: no address of this machine`, { cause: error }));
    });
    probe.listen(port, host, () => probe.close(() => resolve(true)));
  });
}
