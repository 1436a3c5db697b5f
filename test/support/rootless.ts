// A user who exists only where his commands run: a mount namespace of their own gives them a list of users with him in it,
// ranges of ids, and a /dev/net/tun he may open. Nothing of the machine is changed.
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const user = "swaintest";
/** Far above the ids of people and services, and of the ranges that tools hand out by themselves. */
const firstUid = 400_000;
const firstOfRange = 1_000_000_000;
const rangeSize = 65_536;

/** What rootless Podman needs of the machine and is not there; null when all is. */
export function rootlessMissing(): string | null {
  for (const tool of ["unshare", "setpriv", "newuidmap", "slirp4netns"]) {
    try {
      execFileSync("sh", ["-c", `command -v ${tool}`], { stdio: "ignore" });
    } catch {
      return `${tool} is not installed (packages uidmap, slirp4netns and util-linux)`;
    }
  }
  const missing = ["/dev/net/tun", "/etc/subuid", "/etc/subgid"].find((path) => !existsSync(path));
  return missing === undefined ? null : `${missing} is not there`;
}

export interface RootlessUser {
  /** The command line that runs what follows it as the user, in the user's home. */
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly home: string;
  /** What the user's processes keep to themselves while they run. */
  readonly runtime: string;
}

/** Makes the user below `folder`; `number` sets users of one machine apart. */
export function makeUser(folder: string, number: number): RootlessUser {
  const uid = firstUid + number;
  const [home, runtime] = [join(folder, "home"), join(folder, "runtime")];
  for (const path of [home, runtime]) {
    mkdirSync(path, { mode: 0o700 });
    chownSync(path, uid, uid);
  }
  // The home is reached through it.
  chmodSync(folder, 0o711);
  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o644 });
    return path;
  };
  const range = `${user}:${firstOfRange}:${rangeSize}\n`;
  const bound = {
    "/etc/passwd": file("passwd", `${readFileSync("/etc/passwd", "utf8")}${user}:x:${uid}:${uid}::${home}:/bin/sh\n`),
    "/etc/group": file("group", `${readFileSync("/etc/group", "utf8")}${user}:x:${uid}:\n`),
    "/etc/subuid": file("subuid", range),
    "/etc/subgid": file("subgid", range),
    "/dev/net/tun": join(folder, "tun"),
  };
  execFileSync("mknod", ["-m", "666", bound["/dev/net/tun"], "c", "10", "200"]);
  const enter = file(
    "enter.sh",
    [
      "set -e",
      "mount --make-rshared /",
      ...Object.entries(bound).map(([place, path]) => `mount --bind ${path} ${place}`),
      `cd ${home}`,
      `exec setpriv --reuid ${uid} --regid ${uid} --clear-groups "$@"`,
      "",
    ].join("\n"),
  );
  return {
    command: ["unshare", "--mount", "sh", enter],
    env: { ...process.env, HOME: home, XDG_RUNTIME_DIR: runtime },
    home,
    runtime,
  };
}
