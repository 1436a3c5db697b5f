// Network namespaces as machines of their own: each with one card on a bridge that lies in a namespace, too, so that nothing
// of the host's network is touched. All of it is gone after `dispose`.
import { execFile, execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { describe, it } from "vitest";
import { root } from "./cluster.ts";
import type { Result } from "./cluster.ts";

const ip = (...args: string[]): void => {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });
};

/** Why there are none here, or undefined. */
function missing(): string | undefined {
  if (process.getuid?.() !== 0) return "they need root";
  const name = `swain-probe-${process.pid}`;
  try {
    ip("netns", "add", name);
    ip("netns", "del", name);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no ip command" : "this kernel refuses them";
  }
}

/** A suite over network namespaces; where there are none, a skip with its reason. */
export function describeNamespaces(title: string, suite: () => void): void {
  const why = missing();
  if (why === undefined) describe(title, suite);
  else describe.skip(`${title}: no network namespaces, ${why}`, () => it("is skipped", () => {}));
}

export interface Machine {
  readonly address: string;
  /** What to put before a command to run it there. */
  readonly within: readonly string[];
  run(...command: string[]): Promise<Result>;
  swain(...args: string[]): Promise<Result>;
}

export class Network {
  private readonly id = randomBytes(3).toString("hex");
  private readonly names: string[] = [];
  private readonly hub: string;

  constructor() {
    this.hub = this.namespace("hub");
    ip("-n", this.hub, "link", "add", "br0", "type", "bridge");
    ip("-n", this.hub, "link", "set", "br0", "up");
  }

  private namespace(role: string): string {
    const name = `swain-${this.id}-${role}`;
    ip("netns", "add", name);
    this.names.push(name);
    ip("-n", name, "link", "set", "lo", "up");
    return name;
  }

  /** One more machine on the bridge, at 10.213.0.x. */
  machine(role: string): Machine {
    const address = `10.213.0.${this.names.length}`;
    const name = this.namespace(role);
    const port = `p${this.names.length}`;
    ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", this.hub);
    ip("-n", this.hub, "link", "set", port, "master", "br0", "up");
    ip("-n", name, "addr", "add", `${address}/24`, "dev", "eth0");
    ip("-n", name, "link", "set", "eth0", "up");
    const within = ["ip", "netns", "exec", name];
    const run = (...command: string[]): Promise<Result> => runIn([...within, ...command]);
    return {
      address,
      within,
      run,
      swain: (...args) => run(process.execPath, join(root, "dist/cli/main.js"), ...args),
    };
  }

  dispose(): void {
    for (const name of this.names.splice(0).toReversed()) ip("netns", "del", name);
  }
}

function runIn([file = "", ...args]: readonly string[]): Promise<Result> {
  const { SWAIN_SERVER: _server, SWAIN_DATA: _data, ...env } = process.env;
  return new Promise((resolve) => {
    execFile(file, args, { env, cwd: root, timeout: 60_000, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
  });
}
