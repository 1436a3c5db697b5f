// What `doctor` looks at on this machine: Node.js, limits, the data folder, the container engine, ports.
import { accessSync, constants, readdirSync, readFileSync, statfsSync, statSync } from "node:fs";
import { X509Certificate } from "node:crypto";
import { createServer } from "node:net";
import { delimiter, dirname, join } from "node:path";
import { certificatePaths } from "../../services/bus/embedded/certificates.ts";
import type { Call } from "../command.ts";
import { localPaths, visibleRecord } from "../local/layout.ts";
import { memoryText } from "../output/units.ts";
import { bad, ok, warn } from "./finding.ts";
import type { Finding } from "./finding.ts";

/** Package.json's engines: what the code was written for. */
const leastNode = [20, 19] as const;
/** A connection through a proxy takes two files; fewer than this are used up by a few hundred clients. */
const leastFiles = 4096;
/** The log alone wants to grow that much in a busy week. */
const leastFreeBytes = 1024 ** 3;
const leastFreeShare = 0.05;
/** It is renewed 90 days before its end: with less than this left, that has failed for a month. */
const lateRenewalMs = 60 * 86_400_000;

export function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const message = `${process.versions.node} on ${process.platform} ${process.arch}`;
  const enough = major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1]);
  return enough ? ok("Node.js", message) : bad("Node.js", "NODE_JS_TOO_OLD", message);
}

/** Open files this process may have; null where the system does not tell. */
export function checkLimits(): Finding | null {
  let text: string;
  try {
    text = readFileSync("/proc/self/limits", "utf8");
  } catch {
    return null;
  }
  const [, soft = ""] = /^Max open files +(\S+)/m.exec(text) ?? [];
  if (soft === "unlimited") return ok("limits", "any number of open files");
  const message = `${soft} open files`;
  return Number(soft) >= leastFiles ? ok("limits", message) : warn("limits", "LIMIT_LOW", `only ${message}`);
}

/** Whether the running server's certificate was renewed in time; nothing where no server of `swain up --listen` runs. */
export function checkCertificate(data: string, now: number): Finding[] {
  const record = visibleRecord(data);
  if (record === null || !record.ownServer || !record.server.startsWith("tls://")) return [];
  let end: Date;
  try {
    end = new Date(new X509Certificate(readFileSync(certificatePaths(localPaths(data).tls).certificate)).validTo);
  } catch {
    return [];
  }
  const leftMs = end.getTime() - now;
  const message = `the server's certificate ${leftMs > 0 ? "ends" : "ended"} on ${end.toISOString().slice(0, 10)}`;
  if (leftMs > lateRenewalMs) return [ok("TLS", message)];
  return [(leftMs > 0 ? warn : bad)("TLS", "CERTIFICATE_ENDS", message)];
}

/** Rights and room of the data folder, or of what it would be made in, and the secrecy of its keys. */
export function checkData(data: string): Finding[] {
  let there = data;
  while (!isFolder(there) && dirname(there) !== there) there = dirname(there);
  const about = there === data ? data : `${data} (not there yet; it would be made in ${there})`;
  const findings: Finding[] = [];
  try {
    accessSync(there, constants.R_OK | constants.W_OK | constants.X_OK);
    findings.push(roomOf(there, about));
  } catch {
    findings.push(bad("data", "DISK_ERROR", `${about} may not be written by this user`));
  }
  const exposed = exposedKeys(localPaths(data).creds);
  if (exposed.length > 0) {
    findings.push(bad("keys", "KEYS_EXPOSED", `others may read ${exposed.slice(0, 3).join(", ")}`));
  }
  return findings;
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function roomOf(folder: string, about: string): Finding {
  const { bavail, blocks, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const message = `${about}: ${memoryText(free)} free of ${memoryText(blocks * bsize)}`;
  const enough = free >= leastFreeBytes && bavail >= blocks * leastFreeShare;
  if (bavail === 0) return bad("data", "DISK_ERROR", `no room in ${message}`);
  return enough ? ok("data", message) : warn("data", "DISK_ERROR", `little room in ${message}`);
}

function exposedKeys(folder: string): string[] {
  try {
    return readdirSync(folder)
      .map((name) => join(folder, name))
      .filter((path) => (statSync(path).mode & 0o077) !== 0);
  } catch {
    return [];
  }
}

/**
 * The container engine that `given` names, else those the agents of the data folder remember, else the one a new node
 * would take; without any, containers cannot run here but processes can.
 */
export async function checkEngine(data: string, given: string | undefined): Promise<Finding[]> {
  const { chooseRuntime } = await import("../local/runtime.ts");
  const known = given === undefined ? rememberedEngines(data) : [given];
  if (known.length === 0) {
    const { engine, reason } = await chooseRuntime("auto");
    return [
      engine ? ok("engine", reason) : warn("engine", "ENGINE_UNREACHABLE", `${reason}; nodes here run processes only`),
    ];
  }
  const whose = given === undefined ? "; agents here have their containers there" : "";
  // What an agent that runs no more remembers breaks nothing.
  const missed = given !== undefined || visibleRecord(data) !== null ? bad : warn;
  return Promise.all(
    known.map(async (place) => {
      const { engine, reason } = await chooseRuntime("auto", place);
      return engine ? ok("engine", `${reason}${whose}`) : missed("engine", "ENGINE_UNREACHABLE", `${reason}${whose}`);
    }),
  );
}

/** Where the agents of the data folder found their engines, each place once. */
function rememberedEngines(data: string): string[] {
  const nodes = localPaths(data).node("");
  try {
    const places = readdirSync(nodes).map((id) => {
      const file = join(nodes, id, "engine");
      return isFile(file) ? readFileSync(file, "utf8").trim() : "";
    });
    return [...new Set(places)].filter((place) => place !== "");
  } catch {
    return [];
  }
}

function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Where no cluster is: could one be started? */
export async function checkStart(env: Call["env"], data: string): Promise<Finding[]> {
  if (visibleRecord(data) !== null) return [];
  const findings: Finding[] = [];
  const server = env["SWAIN_NATS_SERVER"] ?? programIn(`${env["PATH"] ?? ""}${delimiter}/usr/sbin`, "nats-server");
  findings.push(
    server === undefined
      ? warn(
          "program",
          "NATS_SERVER_MISSING",
          "no nats-server on PATH; `swain up` would look in its cache and download one",
        )
      : ok("program", `${server} for \`swain up\``),
  );
  const taken = await isTaken(natsPort);
  findings.push(
    taken
      ? warn("ports", "PORT_IN_USE", `something listens on ${natsPort}; \`swain up\` would take another port`)
      : ok("ports", `${natsPort} is free`),
  );
  return findings;
}

/** NATS's usual port, which `swain up` tries first. */
const natsPort = 4222;

function programIn(path: string, name: string): string | undefined {
  return path
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return statSync(file).isFile();
      } catch {
        return false;
      }
    });
}

function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(true));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(false)));
  });
}
