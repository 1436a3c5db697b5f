// Limits of runs by control groups of the kernel, v1 and v2: one group for each run that asks for limits, made below the
// agent's own (v1), below a subtree that systemd gave the agent, or at the top (v2). The folders of a run's groups are
// written into its folder first, so that a later agent finds and removes them; no other group is ever touched.
import { constants } from "node:fs";
import { access, mkdir, readFile, readdir, rm, rmdir, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Container, NodeFacts } from "../../../../schemas/generated/types.ts";
import { parseCpuMillis, parseMemoryBytes } from "../../../core/quantity.ts";
import { sleep } from "../../../kernel/clock.ts";
import type { Clock } from "../../../kernel/clock.ts";
import { SwainError } from "../../../kernel/errors.ts";

export type LimitKind = NonNullable<NodeFacts["processLimits"]>[number];
export const limitKinds: readonly LimitKind[] = ["memory", "cpu", "pids"];

/** Where groups for one kind of limit are made. */
export interface Place {
  readonly version: 1 | 2;
  /** The folder they are made in. */
  readonly parent: string;
}
export type Places = Partial<Readonly<Record<LimitKind, Place>>>;

/** A limit: a file of the group and what is written there. */
export interface Setting {
  readonly file: string;
  readonly value: string;
  /** Kernels without swap accounting have no such file. */
  readonly optional?: true;
}

/** The unit's `DelegateSubgroup=`: an agent in a group of this name has all of the group above it. */
export const ownSubgroup = "swain-agent";

/** Groups of runs begin with this. */
const prefix = "swain-";

/** The kernel's own default, microseconds. */
const cpuPeriod = 100_000;
/** It refuses a smaller quota. */
const smallestQuota = 1000;

/** A killed process is out of its group this soon; then the next look at the run tries again. */
const emptying = { times: 20, everyMs: 25 };

/** Reads /proc/self/mountinfo and /proc/self/cgroup: where this process may make groups, if it has the rights. */
export function placesOf(mountinfo: string, ownGroups: string): Places {
  const own = new Map<string, string>();
  for (const line of ownGroups.split("\n")) {
    const [, names, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    for (const name of names?.split(",") ?? []) own.set(name, path ?? "/");
  }
  const places: Partial<Record<LimitKind, Place>> = {};
  for (const line of mountinfo.split("\n")) {
    const [mount = "", filesystem = ""] = line.split(" - ");
    const [, , , root = "/", point = ""] = mount.split(" ");
    const [type, , options = ""] = filesystem.split(" ");
    if (type === "cgroup") {
      for (const kind of limitKinds.filter((kind) => options.split(",").includes(kind))) {
        places[kind] = { version: 1, parent: within(point, root, own.get(kind) ?? "/") };
      }
    } else if (type === "cgroup2") {
      const folder = within(point, root, own.get("") ?? "/");
      const parent = folder !== point && basename(folder) === ownSubgroup ? dirname(folder) : point;
      // A controller bound to v1 is not there in v2.
      for (const kind of limitKinds) places[kind] ??= { version: 2, parent };
    }
  }
  return places;
}

/** The folder of a group below a mount that shows the tree from `root` on; a group outside of it counts as its top. */
function within(point: string, root: string, group: string): string {
  const path = root === "/" ? group : group === root || group.startsWith(`${root}/`) ? group.slice(root.length) : "/";
  return path === "/" || path === "" || path.split("/").includes("..") ? point : point + path;
}

/** The settings of that kind a container asks for; empty when it asks for none. */
export function settingsOf(kind: LimitKind, version: 1 | 2, { resources = {} }: Container): Setting[] {
  const { limits = {}, pids, cpuShares } = resources;
  if (kind === "pids") return pids === undefined ? [] : [{ file: "pids.max", value: String(pids) }];
  if (kind === "memory") {
    if (limits.memory === undefined) return [];
    const value = String(parseMemoryBytes(limits.memory));
    // No swap on top: a program over its limit ends at once instead of slowing the whole node down.
    return version === 2
      ? [
          { file: "memory.max", value },
          { file: "memory.swap.max", value: "0", optional: true },
        ]
      : [
          { file: "memory.limit_in_bytes", value },
          { file: "memory.memsw.limit_in_bytes", value, optional: true },
        ];
  }
  const settings: Setting[] = [];
  if (limits.cpu !== undefined) {
    const quota = Math.max(smallestQuota, Math.round((parseCpuMillis(limits.cpu) * cpuPeriod) / 1000));
    if (version === 2) settings.push({ file: "cpu.max", value: `${quota} ${cpuPeriod}` });
    else
      settings.push(
        { file: "cpu.cfs_period_us", value: String(cpuPeriod) },
        { file: "cpu.cfs_quota_us", value: String(quota) },
      );
  }
  if (cpuShares !== undefined) {
    // Shares go from 2 to 262144, weights from 1 to 10000: the same scale that container runtimes use.
    const weight = 1 + Math.floor(((cpuShares - 2) * 9999) / 262_142);
    settings.push(
      version === 2 ? { file: "cpu.weight", value: String(weight) } : { file: "cpu.shares", value: String(cpuShares) },
    );
  }
  return settings;
}

/** Processes of a group that the kernel killed for want of memory, as `memory.events` (v2) or `memory.oom_control` (v1) tell. */
export const oomKillsIn = (text: string): number => Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);

/** Looks where groups can be made, by making one. What cannot be limited is told by `describe`. */
export async function openCgroups(clock: Clock): Promise<Cgroups> {
  const read = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");
  const wished = placesOf(await read("/proc/self/mountinfo"), await read("/proc/self/cgroup"));
  const places: Partial<Record<LimitKind, Place>> = {};
  const missing: string[] = [];
  for (const kind of limitKinds) {
    const place = wished[kind];
    const fault = place === undefined ? "no such control groups" : await faultOf(kind, place);
    if (place !== undefined && fault === null) places[kind] = place;
    else missing.push(`${kind} not limited: ${fault}`);
  }
  return new Cgroups(clock, places, missing);
}

/** Why groups for that kind cannot be made there; null when they can. */
async function faultOf(kind: LimitKind, { version, parent }: Place): Promise<string | null> {
  const probe = join(parent, `${prefix}probe-${process.pid}`);
  try {
    if (version === 2) await enable(kind, parent);
    await mkdir(probe);
    const container = { name: "", resources: { pids: 1, limits: { cpu: 1, memory: 1 } } };
    for (const { file, optional } of settingsOf(kind, version, container)) {
      if (optional !== true) await access(join(probe, file), constants.W_OK);
    }
    return null;
  } catch (error) {
    return wordsOf(error);
  } finally {
    await rmdir(probe).catch(() => {});
  }
}

/** Hands a controller down to the groups below. */
async function enable(kind: LimitKind, parent: string): Promise<void> {
  const file = join(parent, "cgroup.subtree_control");
  if (!(await readFile(file, "utf8")).trim().split(" ").includes(kind)) await writeFile(file, `+${kind}`);
}

const wordsOf = (error: unknown): string => {
  const { code = "", path, message } = error as NodeJS.ErrnoException;
  return path === undefined ? message : `${path}: ${code}`;
};

/** Puts the shell into the groups listed in a file, and then becomes the program: nothing of it ever runs without limits. */
const joinScript = `while read -r group; do echo 0 > "$group/cgroup.procs" || exit 126; done < "$1"
shift
exec "$@"`;

const recordOf = (runFolder: string): string => join(runFolder, "cgroups");
const oomMarkOf = (runFolder: string): string => join(runFolder, "oom");

export class Cgroups {
  private readonly clock: Clock;
  private readonly places: Places;
  private readonly missing: readonly string[];

  /** `missing`: what cannot be limited and why, for people. */
  constructor(clock: Clock, places: Places, missing: readonly string[]) {
    this.clock = clock;
    this.places = places;
    this.missing = missing;
  }

  /** What this node can limit. */
  get kinds(): LimitKind[] {
    return limitKinds.filter((kind) => this.places[kind] !== undefined);
  }

  describe(): string {
    const limited = this.kinds.map((kind) => `${kind} by cgroup v${this.places[kind]?.version}`);
    return [...(limited.length === 0 ? [] : [`limits: ${limited.join(", ")}`]), ...this.missing].join("; ");
  }

  /**
   * Makes the groups of a run, none when it asks for no limits. Rejects with SANDBOX_REFUSED; `settle` then removes what
   * there is of them.
   */
  async make(name: string, runFolder: string, container: Container): Promise<void> {
    const wanted = this.kinds.flatMap((kind) => {
      const place = this.places[kind];
      const settings = place === undefined ? [] : settingsOf(kind, place.version, container);
      return place === undefined || settings.length === 0
        ? []
        : [{ folder: join(place.parent, prefix + name), settings }];
    });
    if (wanted.length === 0) return;
    const folders = [...new Set(wanted.map(({ folder }) => folder))];
    try {
      await writeFile(recordOf(runFolder), folders.map((folder) => `${folder}\n`).join(""), { mode: 0o600 });
      for (const folder of folders) await mkdir(folder);
      for (const { folder, settings } of wanted) {
        for (const { file, value, optional } of settings) {
          const path = join(folder, file);
          if (optional === true && !(await exists(path))) continue;
          await writeFile(path, value).catch((error: unknown) => {
            const { code, message } = error as NodeJS.ErrnoException;
            throw new Error(`${file} does not take ${value} (${code ?? message})`, { cause: error });
          });
        }
      }
    } catch (error) {
      const why = `container ${container.name}: its limits cannot be set: ${wordsOf(error)}`;
      throw new SwainError("SANDBOX_REFUSED", why, { cause: error });
    }
  }

  /** The words before a program that is to run within the limits of that run; empty when it has none. */
  async wordsFor(runFolder: string): Promise<string[]> {
    const isLimited = await exists(recordOf(runFolder));
    return isLimited ? ["/bin/sh", "-c", joinScript, "swain-limits", recordOf(runFolder)] : [];
  }

  /**
   * After a run: notes whether memory was what it lacked, ends what it left behind in its groups and removes them. May be
   * called again and at once. Tells whether the kernel killed one of its processes for want of memory.
   */
  async settle(runFolder: string): Promise<boolean> {
    const folders = await recorded(runFolder);
    for (const folder of folders) {
      const counts = await Promise.all(
        ["memory.events", "memory.oom_control"].map((file) => readFile(join(folder, file), "utf8").catch(() => "")),
      );
      if (counts.some((text) => oomKillsIn(text) > 0)) await writeFile(oomMarkOf(runFolder), "", { mode: 0o600 });
    }
    for (let time = 0; folders.length > 0 && time < emptying.times; time += 1) {
      if (time > 0) await sleep(this.clock, emptying.everyMs);
      const gone = await Promise.all(folders.map(removeGroup));
      if (!gone.includes(false)) {
        await rm(recordOf(runFolder), { force: true });
        break;
      }
    }
    return exists(oomMarkOf(runFolder));
  }

  /** Throws ENGINE_ERROR while groups of a run are left: who forgets them leaves them for ever, and who starts the next run has both. */
  async checkSettled(runFolder: string): Promise<void> {
    const [folder] = await recorded(runFolder);
    if (folder !== undefined) throw new SwainError("ENGINE_ERROR", `the control group ${folder} cannot be removed`);
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** Folders of a run's groups. */
async function recorded(runFolder: string): Promise<string[]> {
  const text = await readFile(recordOf(runFolder), "utf8").catch(() => "");
  return text.split("\n").filter((folder) => basename(folder).startsWith(prefix));
}

/** False when it is not empty yet; what is in it, and in the groups that the program made below it, is killed. */
async function removeGroup(folder: string): Promise<boolean> {
  // v2 ends all of it in one step, also what would fork faster than it is killed; elsewhere there is no such file.
  await writeFile(join(folder, "cgroup.kill"), "1", { flag: "r+" }).catch(() => {});
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeGroup(join(folder, entry.name));
  const pids = await readFile(join(folder, "cgroup.procs"), "utf8").catch(() => "");
  for (const pid of pids.split("\n").filter((line) => /^[1-9]\d*$/.test(line))) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // Gone already.
    }
  }
  return rmdir(folder).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === "ENOENT",
  );
}
