// A network namespace as a host of its own, on one cable with the machine. Pulled, nothing passes: neither the bus nor what a
// proxy sends to the pods there.
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";

const ip = (...args: string[]): void => {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });
};

export class Host {
  /** The machine's end of the cable, and the host's. */
  readonly near: string;
  readonly address: string;
  private readonly name: string;

  constructor() {
    const id = randomBytes(3);
    this.name = `swain-${id.toString("hex")}`;
    const net = `10.215.${id[0]}.${(id[1] ?? 0) & 0xfc}`.split(".");
    const last = Number(net.pop());
    this.near = [...net, last + 1].join(".");
    this.address = [...net, last + 2].join(".");
    const cable = `swf${id.toString("hex")}`;
    ip("netns", "add", this.name);
    try {
      ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", this.name);
      ip("addr", "add", `${this.near}/30`, "dev", cable);
      ip("link", "set", cable, "up");
      ip("-n", this.name, "link", "set", "lo", "up");
      ip("-n", this.name, "addr", "add", `${this.address}/30`, "dev", "eth0");
      ip("-n", this.name, "link", "set", "eth0", "up");
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** What to put before a command to run it there: another network, and the same of all else. */
  get within(): readonly string[] {
    return ["nsenter", `--net=/run/netns/${this.name}`];
  }

  pull(): void {
    ip("-n", this.name, "link", "set", "eth0", "down");
  }

  plug(): void {
    ip("-n", this.name, "link", "set", "eth0", "up");
  }

  /** The cable goes with it, once nothing runs there. */
  dispose(): void {
    ip("netns", "del", this.name);
  }
}
