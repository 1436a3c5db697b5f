// The nats-server of a data folder that no record there tells of: somebody removed `run/` below a running cluster, or its
// supervisor was killed as well. A second server on the same store would ruin it, so neither the lock nor the record alone
// says that a folder is free.
import { readFileSync, realpathSync } from "node:fs";
import { readRecord } from "./layout.ts";
import type { LocalPaths, ProcessMark } from "./layout.ts";
import { commandLine, markOf, parentOf } from "./processes.ts";

export interface Stray {
  readonly server: ProcessMark;
  /** The `swain up` or `swain demo` that started it, while that lives. */
  readonly supervisor: ProcessMark | null;
}

/** By the server's own pid file; null when that process is gone, serves another folder, or is on record. */
export function strayServer(paths: LocalPaths): Stray | null {
  const server = markOf(pidIn(paths.serverPid));
  if (server === null || !serves(server.pid, paths.serverConfig)) return null;
  if (readRecord(paths.data)?.children.some(({ pid }) => pid === server.pid) === true) return null;
  const parent = parentOf(server.pid);
  const isSupervisor = parent !== null && /\s(up|demo)(\s|$)/.test(commandLine(parent) ?? "");
  return { server, supervisor: isSupervisor ? markOf(parent) : null };
}

function pidIn(file: string): number {
  try {
    return Number(readFileSync(file, "utf8"));
  } catch {
    return 0;
  }
}

/** The folder may have been named in another way, say by a link. */
function serves(pid: number, config: string): boolean {
  const given = / -c (.+) -P /.exec(commandLine(pid) ?? "")?.[1];
  if (given === undefined) return false;
  try {
    return realpathSync(given) === realpathSync(config);
  } catch {
    return given === config;
  }
}
