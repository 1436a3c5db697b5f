// Where `swain up` keeps what on this machine, and what other commands learn from it. Loads no NATS client: every command
// of the CLI reads this.
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { seedFile } from "../../services/bus/embedded/roles.ts";
import type { Role } from "../../services/bus/embedded/roles.ts";
import { SwainError } from "../../services/kernel/errors.ts";

/** Everything below one data folder. */
export interface LocalPaths {
  readonly data: string;
  /** Seeds of the roles, 0600. */
  readonly creds: string;
  /** The server's configuration, pid and JetStream files. */
  readonly nats: string;
  readonly serverConfig: string;
  /** Written by the server itself. */
  readonly serverPid: string;
  /** Certificates of the cluster's authority and of the server, with their keys. */
  readonly tls: string;
  /** Machines that joined and open tokens: public keys only. */
  readonly members: string;
  /** Log files, one per process. */
  readonly log: string;
  /** What runs now. */
  readonly record: string;
  /** Held by the supervisor that owns this folder. */
  readonly lock: string;
  node(id: string): string;
  proxy(id: string): string;
}

/** The data folder: the option, else SWAIN_DATA, else `~/.swain`; absolute. */
export function dataFolder(option: string | undefined, env: Readonly<Record<string, string | undefined>>): string {
  const named = option ?? env["SWAIN_DATA"];
  return resolve(named === undefined || named === "" ? join(homedir(), ".swain") : named);
}

export function localPaths(data: string): LocalPaths {
  return {
    data,
    creds: join(data, "creds"),
    nats: join(data, "nats"),
    serverConfig: join(data, "nats", "nats-server.conf"),
    serverPid: join(data, "nats", "nats-server.pid"),
    tls: join(data, "tls"),
    members: join(data, "nats", "members.json"),
    log: join(data, "log"),
    record: join(data, "run", "up.json"),
    lock: join(data, "run", "lock"),
    node: (id) => join(data, "nodes", id),
    proxy: (id) => join(data, "proxies", id),
  };
}

/** A process by id and start time, so that a reused id is never taken for it. */
export interface ProcessMark {
  readonly pid: number;
  readonly start: string;
}

export type ChildKind = "nats" | "controller" | "agent" | "proxy";

export interface ChildMark extends ProcessMark {
  readonly name: string;
  readonly kind: ChildKind;
}

/** The content of `run/up.json`. */
export interface UpRecord {
  readonly cluster: string;
  /** `nats://host:port`, or `tls://host:port` when other machines reach it. */
  readonly server: string;
  /** False when the server is the user's own. */
  readonly ownServer: boolean;
  /** Credentials for every role, when the server is not ours and wants any. */
  readonly creds?: string;
  readonly runtime: string;
  readonly nodes: number;
  /** The address the proxy's services listen on. */
  readonly proxyHost: string;
  readonly supervisor: ProcessMark;
  readonly children: readonly ChildMark[];
  /** True from when all of it answered. */
  readonly ready: boolean;
  /** Left by a supervisor that ended: which agents did not stop all their pods, and how they ended. */
  readonly podsLeft?: readonly string[];
}

/** The authority's certificate lies beside the keys, where every connection looks for it. */
export const authorityBeside = (creds: string): string => join(creds, "ca.pem");

const readText = (path: string): string => readFileSync(path, "utf8");

/**
 * What runs from that data folder by its own account, or null; the processes may have died since. Throws DATA_UNREADABLE:
 * what may not be seen is not nothing.
 */
export function readRecord(data: string, read: (path: string) => string = readText): UpRecord | null {
  let text: string;
  try {
    text = read(localPaths(data).record);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EACCES" && code !== "EPERM") return null;
    throw new SwainError("DATA_UNREADABLE", `this user may not look into the data folder ${data}`, { cause: error });
  }
  try {
    return JSON.parse(text) as UpRecord;
  } catch {
    // Written in one step, so this is somebody's edit; what runs is then found by nobody.
    return null;
  }
}

/** The record for a look that goes on without it: null also where it may not be read. */
export function visibleRecord(data: string): UpRecord | null {
  try {
    return readRecord(data);
  } catch {
    return null;
  }
}

export interface LocalCluster {
  readonly server: string;
  /** The authority's certificate of a server that speaks TLS; path. */
  readonly ca?: string;
  readonly cluster: string;
  /** Path of the credentials of a role; undefined when the server is not ours and wants none. */
  creds(role: Role): string | undefined;
}

/** What `swain up` started from that data folder, for a command that wants to reach it; null when nothing was. Throws DATA_UNREADABLE. */
export function localCluster(data: string): LocalCluster | null {
  const record = readRecord(data);
  if (record === null) return null;
  const { creds } = localPaths(data);
  const isTls = record.ownServer && record.server.startsWith("tls://");
  return {
    ...(isTls ? { ca: authorityBeside(creds) } : {}),
    server: record.server,
    cluster: record.cluster,
    creds: (role) => (record.ownServer ? seedFile(creds, role) : record.creds),
  };
}
