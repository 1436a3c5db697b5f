// The files of the process driver, below <data>/processes/<id>:
//   spec.json            what was asked for, and for which cluster and node
//   run.json             number and ports of the newest run
//   run-<n>/pid, child, exit   written by the wrapper
//   run-<n>/exit.<code>  instead of the line in `exit`, when the disk was full
//   run-<n>/cgroups      folders of its control groups, while it has some
//   run-<n>/oom          the kernel killed one of its processes for want of memory
//   run-<n>/stdout.log, stderr.log (and .1, the older part; .marks, when it was written)
// The run before the newest is kept for its output.
// They hold the manifest's variables, so only this user may read them.
import { createHash } from "node:crypto";
import type { Dirent } from "node:fs";
import { readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SwainError } from "../../../kernel/errors.ts";
import { systemDisk } from "../../../kernel/node/disk.ts";
import { makeFolder } from "../../../kernel/node/folder.ts";
import type { ContainerSpec, DriverIdentity, PublishedPort } from "../driver.ts";

export interface StoredSpec {
  readonly identity: DriverIdentity;
  readonly spec: ContainerSpec;
}

export interface Run {
  readonly number: number;
  readonly ports: readonly PublishedPort[];
}

/** What the wrapper wrote about itself. */
export interface Leader {
  readonly pid: number;
  readonly startTicks: number;
  readonly bootId: string;
}

/** The id of a pod's container: the same for every agent of this cluster and node. Names have no dots. */
export function processId(pod: string, name: string, identity: DriverIdentity): string {
  const parts = [identity.clusterUid, identity.node, pod, name];
  const hash = createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 8);
  return `${pod.replace("/", ".")}.${name}.${hash}`;
}

/** The pod and the container's name, as the id itself tells them; null when it is none of that cluster and node. */
export function namesOf(id: string, identity: DriverIdentity): { readonly pod: string; readonly name: string } | null {
  const [namespace = "", podName = "", name = ""] = id.split(".");
  const pod = `${namespace}/${podName}`;
  return processId(pod, name, identity) === id ? { pod, name } : null;
}

const idForm = /^[a-z0-9][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*){3}$/;

export class ProcessStore {
  private readonly root: string;

  constructor(data: string) {
    this.root = join(data, "processes");
  }

  /** The container's folder. An id that is none leads nowhere. */
  folder(id: string): string {
    return join(this.root, idForm.test(id) ? id : "none");
  }

  runFolder(id: string, run: Run): string {
    return join(this.folder(id), `run-${run.number}`);
  }

  async ids(): Promise<string[]> {
    const entries = await readdir(this.root, { withFileTypes: true }).catch(absent<Dirent[]>([]));
    return entries
      .filter((entry) => !entry.isFile() && idForm.test(entry.name))
      .map(({ name }) => name)
      .sort();
  }

  /** Null when there is none, or only a torn one. */
  spec(id: string): Promise<StoredSpec | null> {
    return readJson<StoredSpec>(join(this.folder(id), "spec.json"));
  }

  async writeSpec(id: string, stored: StoredSpec): Promise<void> {
    await systemDisk.writeAtomic(join(this.folder(id), "spec.json"), JSON.stringify(stored));
  }

  run(id: string): Promise<Run | null> {
    return readJson<Run>(join(this.folder(id), "run.json"));
  }

  /** The run before it, as far as something of it is kept. */
  async previous(id: string, { number }: Run): Promise<Run | null> {
    const run = { number: number - 1, ports: [] };
    const names = await readdir(this.runFolder(id, run)).catch(absent<string[]>([]));
    return names.length === 0 ? null : run;
  }

  /**
   * Makes the folder of a new run and then names it the newest; the folders of runs before the last one go. It is on disk before the
   * program starts: after a power cut, a run that nobody knows of would be taken for one that never was, and a job run again.
   */
  async beginRun(id: string, run: Run): Promise<void> {
    await guarded(async () => {
      makeFolder(this.runFolder(id, run));
      await systemDisk.writeAtomic(join(this.folder(id), "run.json"), JSON.stringify(run));
      for (const name of await readdir(this.folder(id))) {
        if (!name.startsWith("run-") || name === `run-${run.number}` || name === `run-${run.number - 1}`) continue;
        await rm(join(this.folder(id), name), { recursive: true, force: true });
      }
    });
  }

  /** "claimed" when a driver gave the run up before its wrapper began, null when nothing is written yet. */
  async leader(id: string, run: Run): Promise<Leader | "claimed" | null> {
    const text = await readText(join(this.runFolder(id, run), "pid"));
    if (text.startsWith("claimed")) return "claimed";
    const [pid, startTicks, bootId] = text.trim().split(" ");
    // The last line's end tells that all of it is there.
    if (!text.endsWith("\n") || bootId === undefined) return null;
    return { pid: Number(pid), startTicks: Number(startTicks), bootId };
  }

  /** The process of the command, null while it is not written. Earlier versions wrote no start time. */
  async child(id: string, run: Run): Promise<{ readonly pid: number; readonly startTicks?: number } | null> {
    const text = await readText(join(this.runFolder(id, run), "child"));
    const [, pid, startTicks] = /^([0-9]+)(?: ([0-9]+))?\n$/.exec(text) ?? [];
    if (pid === undefined) return null;
    return startTicks === undefined ? { pid: Number(pid) } : { pid: Number(pid), startTicks: Number(startTicks) };
  }

  /** Keeps a wrapper that did not begin yet from ever beginning; one that did is left alone. */
  async claim(id: string, run: Run): Promise<void> {
    await writeFile(join(this.runFolder(id, run), "pid"), "claimed\n", { flag: "wx", mode: 0o600 }).catch(() => {});
  }

  /** The exit code, "unobserved", or null when the run has not ended as far as is written. */
  async exit(id: string, run: Run): Promise<number | "unobserved" | null> {
    const text = await readText(join(this.runFolder(id, run), "exit"));
    if (text === "unobserved\n") return "unobserved";
    if (/^[0-9]+\n$/.test(text)) return Number(text);
    const names = await readdir(this.runFolder(id, run)).catch(absent<string[]>([]));
    const code = names.map((name) => /^exit\.([0-9]+)$/.exec(name)?.[1]).find((found) => found !== undefined);
    return code === undefined ? null : Number(code);
  }

  /** Only after the wrapper and its whole group are known to be gone. */
  async writeUnobserved(id: string, run: Run): Promise<void> {
    await writeFile(join(this.runFolder(id, run), "exit"), "unobserved\n", { mode: 0o600 }).catch(() => {});
  }

  async remove(id: string): Promise<void> {
    // A process that just ended may still be closing its files: the folder is removed again if one appeared.
    await guarded(() => rm(this.folder(id), { recursive: true, force: true, maxRetries: 3 }));
  }
}

const absent =
  <T>(value: T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code === "ENOENT") return value;
    throw diskError(error);
  };

const readText = (path: string): Promise<string> => readFile(path, "utf8").catch(absent(""));

async function readJson<T>(path: string): Promise<T | null> {
  const text = await readText(path);
  try {
    return JSON.parse(text) as T;
  } catch {
    return null;
  }
}

async function guarded(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw diskError(error as Error);
  }
}

const diskError = (error: Error): SwainError => new SwainError("DISK_ERROR", error.message, { cause: error });
