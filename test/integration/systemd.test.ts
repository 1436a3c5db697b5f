// The unit files, read by systemd itself, and what a part tells systemd. systemd need not run for either.
import { execFileSync, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { root, until } from "../support/cluster.ts";
import { anyServer, startServer } from "../support/nats.ts";
import type { TestServer } from "../support/nats.ts";
import { ownSubgroup } from "../../services/agent/runtime/process/cgroups.ts";
import { PartProcess } from "../support/part.ts";

const units = join(root, "examples/systemd");
const services = readdirSync(units).filter((name) => name.endsWith(".service"));

const onPath = (program: string): boolean =>
  (process.env["PATH"] ?? "").split(":").some((folder) => existsSync(join(folder, program)));
const missing = ["systemd-analyze", "systemd-notify", "perl"].filter((program) => !onPath(program));
const describeSystemd = missing.length > 0 && process.env["CI"] === undefined ? describe.skip : describe;

describeSystemd(`units and systemd${missing.length > 0 ? `: no ${missing.join(", ")} here` : ""}`, () => {
  let folder: string;
  let server: TestServer;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "swain-systemd-"));
    server = await startServer(anyServer());
    for (const name of services) {
      // It wants the programs of a unit to be there; ours is built, not installed.
      const text = readFileSync(join(units, name), "utf8").replaceAll("/usr/bin/swain", `${root}/dist/cli/main.js`);
      writeFileSync(join(folder, name), text);
    }
  });
  afterAll(async () => {
    await server?.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  const analyze = (...args: string[]): string =>
    execFileSync("sh", ["-c", 'exec systemd-analyze "$@" 2>&1', "systemd-analyze", ...args], { encoding: "utf8" });

  it.each(services)("%s has nothing systemd complains of", (name) => {
    expect(analyze("verify", "--recursive-errors=no", join(folder, name))).toBe("");
  });

  it.each(services)("%s is tried again for ever", (name) => {
    expect(readFileSync(join(units, name), "utf8")).toMatch(/^\[Unit\]$[^[]*^StartLimitIntervalSec=0$[^]*^Restart=/m);
  });

  it("would notice a mistake", () => {
    const text = readFileSync(join(folder, services[0] ?? ""), "utf8").replace("Restart=", "Restrat=");
    const broken = join(folder, "broken.service");
    writeFileSync(broken, text);
    expect(() => analyze("verify", "--recursive-errors=no", broken)).toThrow();
    rmSync(broken);
  });

  it.each(["swain-controller.service", "swain-proxy.service"])("%s is closed in well", (name) => {
    const text = analyze("security", "--offline=true", join(folder, name));
    expect(Number(/exposure level for .*: ([\d.]+)/.exec(text)?.[1])).toBeLessThan(2.5);
  });

  it("an agent's pods outlive it, and its cgroups are its own", () => {
    expect(readFileSync(join(units, "swain-agent.service"), "utf8")).toMatch(/^KillMode=process$[^]*^Delegate=yes$/m);
    // systemd-analyze of Debian 12 does not know the setting yet: the name is what the agent looks for.
    const dropIn = readFileSync(join(units, "swain-agent.service.d/subgroup.conf"), "utf8");
    expect(/^DelegateSubgroup=(.*)$/m.exec(dropIn)?.[1]).toBe(ownSubgroup);
  });

  it("the drop-in fits the distribution's unit", () => {
    const unit = "/lib/systemd/system/nats-server.service";
    if (!existsSync(unit)) return expect(process.env["CI"], "no unit of nats-server on this machine").toBeUndefined();
    copyFileSync(unit, join(folder, "nats-server.service"));
    execFileSync("cp", ["-r", join(units, "nats-server.service.d"), folder]);
    // Where an operator puts a current server; here the program that runs these tests stands for it.
    const dropIn = join(folder, "nats-server.service.d/swain.conf");
    writeFileSync(dropIn, readFileSync(dropIn, "utf8").replace("/usr/local/bin/nats-server", process.execPath));
    expect(analyze("verify", "--recursive-errors=no", join(folder, "nats-server.service"))).not.toMatch(/swain/);
  });

  it("a part tells systemd when it is ready and when it stops", async () => {
    const socket = join(folder, "notify");
    const receive = `use IO::Socket::UNIX; use Socket; $| = 1;
      my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $ARGV[0]) or die;
      while (defined $s->recv(my $m, 4096)) { print "$m\\n" }`;
    const receiver = spawn("perl", ["-e", receive, socket], { stdio: ["ignore", "pipe", "inherit"] });
    let told = "";
    receiver.stdout.on("data", (chunk: Buffer) => (told += chunk.toString()));
    try {
      await until("it listens", async () => existsSync(socket));
      const args = ["controller", "--server", server.url, "--id", "notified"];
      const part = await PartProcess.start(args, { NOTIFY_SOCKET: socket });
      await until("it is told of readiness", async () => told.includes("READY=1"));
      expect(told).not.toContain("STOPPING=1");
      await part.stop();
      expect(told).toContain("STOPPING=1");
      expect(part.stderr).not.toContain("systemd could not be told");
    } finally {
      receiver.kill();
    }
  });
});
