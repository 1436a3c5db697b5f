// What a machine keeps of having joined. Loads no NATS client: agents and proxies look for it at each start.
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Joined {
  /** Addresses, separated by commas. */
  readonly server: string;
  readonly cluster: string;
  /** Of the node or the proxy. */
  readonly id: string;
  /** Path of the own key; the cluster's authority lies beside it. */
  readonly creds: string;
}

export const joinedFile = (folder: string): string => join(folder, "joined.json");

/** What was kept in that folder, or null. */
export function readJoined(folder: string): Joined | null {
  try {
    return JSON.parse(readFileSync(joinedFile(folder), "utf8")) as Joined;
  } catch {
    // Not there, or not ours: then this machine has not joined from that folder.
    return null;
  }
}
