// The package as a user installs it: packed, installed globally below a folder of its own, and, as an image, built by the
// Containerfile on a base that is made of this machine's Node, because no registry of images can be reached in tests.
import { execFileSync } from "node:child_process";
import type { ExecFileSyncOptionsWithStringEncoding } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root } from "./cluster.ts";

export interface Packed {
  /** The tarball. */
  readonly file: string;
  readonly bytes: number;
  readonly files: readonly string[];
  /** As for `npm install --global --prefix`. */
  readonly prefix: string;
  dispose(): void;
}

const quiet: ExecFileSyncOptionsWithStringEncoding = {
  encoding: "utf8",
  stdio: ["ignore", "pipe", "pipe"],
  maxBuffer: 64 * 1024 * 1024,
};

/** Packs what is built and installs it, from npm's cache where that has it all. */
export function packAndInstall(): Packed {
  const home = mkdtempSync(join(tmpdir(), "swain-packed-"));
  const packed = execFileSync("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", home], {
    ...quiet,
    cwd: root,
  });
  const [{ filename, size, files }] = JSON.parse(packed) as [
    { filename: string; size: number; files: { path: string }[] },
  ];
  const file = join(home, filename);
  const prefix = join(home, "image");
  const options = ["--global", "--prefix", prefix, "--prefer-offline", "--no-audit", "--no-fund", "--omit=dev"];
  execFileSync("npm", ["install", ...options, file], { ...quiet, cwd: home });
  return {
    file,
    bytes: size,
    files: files.map(({ path }) => path),
    prefix,
    dispose: () => rmSync(home, { recursive: true, force: true }),
  };
}

/** A program with the libraries it needs and a shell, as a folder that `docker import` takes. */
function imageRoot(folder: string, programs: Readonly<Record<string, string>>): void {
  for (const name of ["bin", "tmp", "etc", "usr/local/bin", "data"]) mkdirSync(join(folder, name), { recursive: true });
  chmodSync(join(folder, "tmp"), 0o1777);
  copyFileSync("/bin/busybox", join(folder, "bin/busybox"));
  for (const applet of execFileSync("/bin/busybox", ["--list"], quiet).trim().split("\n")) {
    if (applet !== "busybox") symlinkSync("busybox", join(folder, "bin", applet));
  }
  writeFileSync(join(folder, "etc/passwd"), "root:x:0:0::/:/bin/sh\nnode:x:1000:1000::/tmp:/bin/sh\n");
  for (const [name, path] of Object.entries(programs)) {
    const program = realpathSync(path);
    cpSync(program, join(folder, "usr/local/bin", name));
    for (const library of librariesOf(program)) {
      mkdirSync(join(folder, dirname(library)), { recursive: true });
      copyFileSync(library, join(folder, library));
    }
  }
}

/** Paths of the shared libraries; none for a static program. */
function librariesOf(program: string): string[] {
  try {
    const text = execFileSync("ldd", [program], quiet);
    return [...text.matchAll(/(\/\S+) \(0x/g)].flatMap(([, path]) =>
      path !== undefined && existsSync(path) ? [path] : [],
    );
  } catch {
    return [];
  }
}

/** Makes an image of programs of this machine. */
export function importImage(
  name: string,
  programs: Readonly<Record<string, string>>,
  changes: readonly string[],
): void {
  const folder = mkdtempSync(join(tmpdir(), "swain-image-"));
  try {
    imageRoot(folder, programs);
    const options = changes.flatMap((change) => ["-c", change]);
    execFileSync("sh", ["-c", 'tar -C "$0" -c . | docker import "$@"', folder, ...options, "-", name], quiet);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
