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
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./ports.ts";

const run = promisify(execFile);

export interface PodmanService {
  /** Path of the socket. */
  readonly socket: string;
  /** Loopback ports of registries that it speaks to without TLS. */
  readonly registryPorts: readonly number[];
  /** Kills the service in the middle of whatever it does, and starts it anew. */
  restart(): Promise<void>;
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

/** Starts a service; `image` is made in it. `storage` is an existing folder for its images, for a disk of a chosen size. */
export async function startPodman(image: string, options: { readonly storage?: string } = {}): Promise<PodmanService> {
  const folder = mkdtempSync(join(tmpdir(), "swain-podman-"));
  const id = randomBytes(3).toString("hex");
  const registryPorts = await Promise.all(Array.from({ length: 6 }, () => freePort()));
  const storage = options.storage ?? join(folder, "root");
  const env = settings(folder, id, storage, registryPorts);
  const socket = join(folder, "podman.sock");
  const log = join(folder, "log");
  writeFileSync(log, "");
  let service: ChildProcess | undefined;
  const stop = (): void => {
    process.removeListener("exit", stop);
    service?.kill("SIGTERM");
    clear(folder, id, storage, env);
  };
  process.once("exit", stop);
  try {
    await makeImage(folder, image, env);
    const start = async (): Promise<void> => {
      service = spawn("sh", ["-c", `exec podman system service --time=0 unix://${socket} >${log} 2>&1`], {
        env,
        // Its monitors leave files where it works.
        cwd: folder,
        stdio: "ignore",
      });
      await answers(service, socket, log);
    };
    const restart = async (): Promise<void> => {
      const old = service;
      const gone = new Promise((resolve) => old?.once("exit", resolve));
      old?.kill("SIGKILL");
      await gone;
      rmSync(socket, { force: true });
      await start();
    };
    await start();
    return { socket, registryPorts, restart, stop };
  } catch (error) {
    stop();
    throw error;
  }
}

/** Writes the configuration; gives the environment that names it. */
function settings(folder: string, id: string, storage: string, registryPorts: readonly number[]): NodeJS.ProcessEnv {
  const write = (name: string, lines: readonly string[]): string => {
    writeFileSync(join(folder, name), `${lines.join("\n")}\n`);
    return join(folder, name);
  };
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
  write(`net/swain-${id}.conflist`, [JSON.stringify({ cniVersion: "0.4.0", name: `swain-${id}`, plugins })]);
  return {
    ...process.env,
    CONTAINERS_CONF: write("containers.conf", [
      // Default limits above what a confined root may set make every start fail.
      "[containers]",
      'default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]',
      "[engine]",
      'cgroup_manager = "cgroupfs"',
      'events_logger = "file"',
      // crun refuses machines with both generations of control groups.
      'runtime = "runc"',
      `tmp_dir = "${join(folder, "tmp")}"`,
      `static_dir = "${join(storage, "libpod")}"`,
      `volume_path = "${join(storage, "volumes")}"`,
      "[network]",
      'network_backend = "cni"',
      `network_config_dir = "${join(folder, "net")}"`,
      `default_network = "swain-${id}"`,
    ]),
    CONTAINERS_STORAGE_CONF: write("storage.conf", [
      "[storage]",
      'driver = "overlay"',
      `graphroot = "${storage}"`,
      `runroot = "${join(folder, "run")}"`,
    ]),
    CONTAINERS_REGISTRIES_CONF: write("registries.conf", [
      "unqualified-search-registries = []",
      ...registryPorts.flatMap((port) => ["[[registry]]", `location = "127.0.0.1:${port}"`, "insecure = true"]),
    ]),
  };
}

async function makeImage(folder: string, image: string, env: NodeJS.ProcessEnv): Promise<void> {
  const root = join(folder, "image");
  for (const part of ["bin", "tmp", "etc"]) mkdirSync(join(root, part), { recursive: true });
  copyFileSync(busybox, join(root, "bin/busybox"));
  for (const applet of execFileSync(busybox, ["--list"], { encoding: "utf8" }).trim().split("\n")) {
    if (applet !== "busybox") symlinkSync("busybox", join(root, "bin", applet));
  }
  await run("tar", ["-C", root, "-cf", join(folder, "image.tar"), "."]);
  const changes = ["-c", 'CMD ["sh"]', "-c", "ENV PATH=/bin"];
  await run("podman", ["import", "-q", ...changes, join(folder, "image.tar"), `localhost/${image}`], { env });
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
function clear(folder: string, id: string, storage: string, env: NodeJS.ProcessEnv): void {
  const script = `
    podman rm -fa -t 0 >/dev/null 2>&1
    ip link delete swp${id} 2>/dev/null
    umount -l "${storage}/overlay" 2>/dev/null
    umount -l $(awk '$2 ~ "^${folder}/" { print $2 }' /proc/mounts | sort -r) 2>/dev/null
    rm -rf /var/lib/cni/networks/swain-${id} "${folder}"`;
  try {
    execFileSync("sh", ["-c", script], { env, cwd: "/", stdio: "ignore", timeout: 60_000 });
  } catch {
    // The last command's failure: some file is left in the temporary folder.
  }
}
