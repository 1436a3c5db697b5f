// A Podman for tests, of their own: service, storage, networks and settings in a temporary folder, so that nothing of
// the machine is touched. SWAIN_TEST_PODMAN names the socket of one that runs already.
import { execFile, execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./ports.ts";
import { makeUser } from "./rootless.ts";

const run = promisify(execFile);

export interface PodmanService {
  /** Path of the socket. */
  readonly socket: string;
  /** Loopback ports of registries that it speaks to without TLS. */
  readonly registryPorts: readonly number[];
  /** Kills the service in the middle of whatever it does, and starts it anew. */
  restart(): Promise<void>;
  /** As when its machine is cut off and comes up again: nothing of what ran is left, nor what it noted of this boot. Not with `rootless`. */
  reboot(): Promise<void>;
  /** The service stands still for that time. */
  freeze(ms: number): Promise<void>;
  stop(): void;
}

const busybox = "/bin/busybox";

/** Why no Podman of our own can run here, or null. */
export function podmanMissing(): string | null {
  try {
    execFileSync("podman", ["--version"], { stdio: "ignore" });
  } catch {
    return "podman is not installed";
  }
  if (process.getuid?.() !== 0)
    return "a Podman of the tests' own needs root; SWAIN_TEST_PODMAN names another's socket";
  return existsSync(busybox) ? null : `${busybox} is not there to make an image of`;
}

/** How a Podman is called, and what it leaves behind. */
interface Caller {
  /** The words before its own arguments. */
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Shell lines that remove what its folder does not hold. */
  readonly clear: string;
  /** Where its socket may be. */
  readonly home: string;
}

export interface PodmanOptions {
  /** An existing folder for its images, for a disk of a chosen size; not with `rootless`. */
  readonly storage?: string;
  /** As an ordinary user, with that user's own network and namespaces. */
  readonly rootless?: boolean;
}

/** Starts a service; `image` is made in it. */
export async function startPodman(image: string, options: PodmanOptions = {}): Promise<PodmanService> {
  const folder = mkdtempSync(join(tmpdir(), "swain-podman-"));
  const registryPorts = await Promise.all(Array.from({ length: 6 }, () => freePort()));
  const storage = options.storage ?? join(folder, "root");
  const id = randomBytes(3);
  const caller = options.rootless ? asUser(folder, id, registryPorts) : asRoot(folder, id, storage, registryPorts);
  const socket = join(caller.home, "podman.sock");
  const log = join(folder, "log");
  writeFileSync(log, "");
  let service: ChildProcess | undefined;
  const stop = (): void => {
    process.removeListener("exit", stop);
    service?.kill("SIGTERM");
    clear(folder, caller);
  };
  process.once("exit", stop);
  try {
    await makeImage(folder, image, caller);
    const start = async (): Promise<void> => {
      rmSync(socket, { force: true });
      const words = [...caller.command, "system", "service", "--time=0", `unix://${socket}`];
      service = spawn("sh", ["-c", `exec ${words.join(" ")} >${log} 2>&1`], {
        env: caller.env,
        // Its monitors leave files where it works.
        cwd: folder,
        stdio: "ignore",
      });
      await answers(service, socket, log);
    };
    const end = async (): Promise<void> => {
      const old = service;
      const gone = new Promise((resolve) => old?.once("exit", resolve));
      old?.kill("SIGKILL");
      await gone;
    };
    const restart = async (): Promise<void> => {
      await end();
      await start();
    };
    const reboot = async (): Promise<void> => {
      await end();
      // The monitors first: they would note how the programs ended.
      endProcesses(folder);
      const containers = readdirSync(join(folder, "run/overlay-containers"));
      for (const container of containers) await run("runc", ["delete", "--force", container]);
      rmSync(`/var/lib/cni/networks/swain-${id.toString("hex")}`, { recursive: true, force: true });
      rmSync(join(folder, "tmp", "alive"));
      await start();
    };
    const freeze = async (ms: number): Promise<void> => {
      service?.kill("SIGSTOP");
      await new Promise((resolve) => setTimeout(resolve, ms));
      service?.kill("SIGCONT");
    };
    await start();
    return { socket, registryPorts, restart, reboot, freeze, stop };
  } catch (error) {
    stop();
    throw error;
  }
}

/** Writes a file of settings; gives its path. */
function write(folder: string, name: string, lines: readonly string[]): string {
  writeFileSync(join(folder, name), `${lines.join("\n")}\n`);
  return join(folder, name);
}

const engineSettings = [
  // Default limits above what a confined root may set make every start fail.
  "[containers]",
  'default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]',
  "[engine]",
  'cgroup_manager = "cgroupfs"',
  'events_logger = "file"',
  // crun refuses machines with both generations of control groups.
  'runtime = "runc"',
];

const registriesFile = (folder: string, ports: readonly number[]): string =>
  write(folder, "registries.conf", [
    "unqualified-search-registries = []",
    ...ports.flatMap((port) => ["[[registry]]", `location = "127.0.0.1:${port}"`, "insecure = true"]),
  ]);

function asUser(folder: string, id: Buffer, registryPorts: readonly number[]): Caller {
  const { command, env, home, runtime } = makeUser(folder, id.readUInt16LE());
  return {
    command: [...command, "podman"],
    home,
    env: {
      ...env,
      CONTAINERS_CONF: write(folder, "containers.conf", engineSettings),
      // A user may mount overlays on few kernels; copies always work.
      CONTAINERS_STORAGE_CONF: write(folder, "storage.conf", ["[storage]", 'driver = "vfs"']),
      CONTAINERS_REGISTRIES_CONF: registriesFile(folder, registryPorts),
    },
    // A process of the user's own holds his namespaces.
    clear: `kill "$(cat "${runtime}/libpod/tmp/pause.pid")"`,
  };
}

function asRoot(folder: string, random: Buffer, storage: string, registryPorts: readonly number[]): Caller {
  const id = random.toString("hex");
  mkdirSync(join(folder, "net"));
  const [second, third] = randomBytes(2);
  const subnet = `10.${128 + ((second ?? 0) % 64)}.${third ?? 0}`;
  const bridge = { type: "bridge", bridge: `swp${id}`, isGateway: true, ipMasq: true, hairpinMode: true };
  const ranges = [[{ subnet: `${subnet}.0/24`, gateway: `${subnet}.1` }]];
  const ipam = { type: "host-local", routes: [{ dst: "0.0.0.0/0" }], ranges };
  const plugins = [
    { ...bridge, ipam },
    { type: "portmap", capabilities: { portMappings: true } },
    { type: "firewall" },
    { type: "tuning" },
  ];
  write(folder, `net/swain-${id}.conflist`, [JSON.stringify({ cniVersion: "0.4.0", name: `swain-${id}`, plugins })]);
  const env = {
    ...process.env,
    CONTAINERS_CONF: write(folder, "containers.conf", [
      ...engineSettings,
      `tmp_dir = "${join(folder, "tmp")}"`,
      `static_dir = "${join(storage, "libpod")}"`,
      `volume_path = "${join(storage, "volumes")}"`,
      "[network]",
      'network_backend = "cni"',
      `network_config_dir = "${join(folder, "net")}"`,
      `default_network = "swain-${id}"`,
    ]),
    CONTAINERS_STORAGE_CONF: write(folder, "storage.conf", [
      "[storage]",
      'driver = "overlay"',
      `graphroot = "${storage}"`,
      `runroot = "${join(folder, "run")}"`,
    ]),
    CONTAINERS_REGISTRIES_CONF: registriesFile(folder, registryPorts),
  };
  const left = `
    ip link delete swp${id} 2>/dev/null
    umount -l "${storage}/overlay" 2>/dev/null
    rm -rf /var/lib/cni/networks/swain-${id}`;
  return { command: ["podman"], env, clear: left, home: folder };
}

async function makeImage(folder: string, image: string, { command, env }: Caller): Promise<void> {
  const root = join(folder, "image");
  for (const part of ["bin", "tmp", "etc"]) mkdirSync(join(root, part), { recursive: true });
  copyFileSync(busybox, join(root, "bin/busybox"));
  for (const applet of execFileSync(busybox, ["--list"], { encoding: "utf8" }).trim().split("\n")) {
    if (applet !== "busybox") symlinkSync("busybox", join(root, "bin", applet));
  }
  await run("tar", ["-C", root, "-cf", join(folder, "image.tar"), "."]);
  const changes = ["-c", 'CMD ["sh"]', "-c", "ENV PATH=/bin"];
  const [file = "", ...words] = command;
  await run(file, [...words, "import", "-q", ...changes, join(folder, "image.tar"), `localhost/${image}`], { env });
}

async function answers(service: ChildProcess, socket: string, log: string): Promise<void> {
  const ended = new Promise<never>((_, reject) => {
    service.once("exit", () => {
      if (existsSync(log)) reject(new Error(`podman ended: ${readFileSync(log, "utf8").slice(-2000)}`));
    });
  });
  ended.catch(() => {});
  const up = async (): Promise<void> => {
    while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  await Promise.race([up(), ended]);
}

/** Everything the service made, whatever state it is in. Synchronous: an interrupted test has no time for more. */
function clear(folder: string, caller: Caller): void {
  const run = (script: string): void => {
    try {
      execFileSync("sh", ["-c", script], { env: caller.env, cwd: "/", stdio: "ignore", timeout: 60_000 });
    } catch {
      // The last command's failure: something is left in the temporary folder.
    }
  };
  run(`${caller.command.join(" ")} rm -fa -t 0\n${caller.clear}`);
  // Monitors of programs that ran beside a container's own stay for minutes.
  endProcesses(folder);
  run(`
    umount -l $(awk '$2 ~ "^${folder}/" { print $2 }' /proc/mounts | sort -r) 2>/dev/null
    rm -rf "${folder}"`);
}

/** Kills every process whose command line names the folder. */
function endProcesses(folder: string): void {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(folder)) process.kill(Number(pid), "SIGKILL");
    } catch {
      // Gone meanwhile.
    }
  }
}
