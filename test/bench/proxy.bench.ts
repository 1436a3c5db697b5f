// The proxy beside HAProxy and beside no proxy at all, in turns within one run: requests a second over kept connections,
// new connections a second, and the 99th percentile. Load by wrk, backends by HAProxy's own static answers.
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, it } from "vitest";
import { Cluster, until } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { get } from "../support/http.ts";
import { Operator } from "./support/cluster.ts";
import { note, ratio, record } from "./support/report.ts";

const run = promisify(execFile);
const rounds = 5;
const seconds = 3;
const connections = 64;
const backends = 3;

const has = (program: string): boolean => {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
};

interface Load {
  readonly perSecond: number;
  readonly p99Ms: number;
}

/** wrk for some seconds; `close` makes every request a new connection. */
async function wrk(port: number, close: boolean): Promise<Load> {
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", ...(close ? ["-H", "Connection: close"] : [])];
  const { stdout } = await run("wrk", [...args, `http://127.0.0.1:${port}/`]);
  const rate = /Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1];
  const [, value = "", unit = ""] = /99%\s+([\d.]+)(us|ms|s)/.exec(stdout) ?? [];
  if (rate === undefined || value === "") throw new Error(`wrk said:\n${stdout}`);
  return { perSecond: Number(rate), p99Ms: Number(value) * { us: 0.001, ms: 1, s: 1000 }[unit as "us" | "ms" | "s"] };
}

const missing = ["wrk", "haproxy"].filter((program) => !has(program));
const group = "Proxy";

describe.skipIf(missing.length > 0)("the proxy", () => {
  const folder = mkdtempSync(join(tmpdir(), "swain-bench-proxy-"));
  const children: ChildProcess[] = [];
  let cluster: Cluster;
  const ports = { direct: 0, haproxy: 0, swain: 0 };

  beforeAll(async () => {
    const back: number[] = [];
    for (let index = 0; index < backends; index++) back.push(await freePort());
    [ports.direct, ports.haproxy, ports.swain] = [back[0] ?? 0, await freePort(), await freePort()];
    const config = join(folder, "haproxy.cfg");
    const timeouts = "  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n";
    writeFileSync(
      join(folder, "backend.cfg"),
      `global\n  maxconn 4000\n  nbthread 1\ndefaults\n  mode http\n${timeouts}frontend f\n${back.map((port) => `  bind 127.0.0.1:${port}\n`).join("")}` +
        `  http-request return status 200 content-type text/plain string "${"x".repeat(200)}"\n`,
    );
    writeFileSync(
      config,
      `global\n  maxconn 4000\n  nbthread 2\ndefaults\n  mode tcp\n${timeouts}listen l\n  bind 127.0.0.1:${ports.haproxy}\n` +
        `  balance roundrobin\n${back.map((port, index) => `  server s${index} 127.0.0.1:${port}\n`).join("")}`,
    );
    for (const file of [join(folder, "backend.cfg"), config]) {
      children.push(spawn("haproxy", ["-db", "-f", file], { stdio: "ignore" }));
    }
    cluster = await Cluster.up({ runtime: "process", nodes: 1 });
    const operator = await Operator.of(cluster);
    const service = {
      apiVersion: "swain/v1",
      kind: "Service",
      metadata: { name: "bench" },
      spec: { ports: [{ port: ports.swain, targetPort: "http" }] },
    };
    await operator.change("manifest", "apply", { documents: [service] });
    for (const [index, port] of back.entries()) {
      const addresses = [{ name: "http", host: "127.0.0.1", port }];
      await operator.ask("endpoint", "register", { service: "bench", name: `b-${index}`, addresses, ttl: "10m" });
    }
    await operator.bus.close();
    for (const port of Object.values(ports)) await until(`${port} answers`, async () => (await get(port)) !== "");
  });
  afterAll(async () => {
    for (const child of children) child.kill("SIGKILL");
    await cluster?.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each([
    { what: "requests over kept connections", close: false },
    { what: "new connections, one request each", close: true },
  ])("$what", async ({ what, close }) => {
    const seen: Record<keyof typeof ports, Load[]> = { direct: [], haproxy: [], swain: [] };
    const names = ["direct", "haproxy", "swain"] as const;
    for (let round = 0; round < rounds; round++) {
      // In another order each round, so that nobody always comes after the same neighbour.
      for (let turn = 0; turn < names.length; turn++) {
        const name = names[(round + turn) % names.length] ?? "direct";
        seen[name].push(await wrk(ports[name], close));
      }
    }
    const rates = (name: keyof typeof ports): number[] => seen[name].map(({ perSecond }) => perSecond);
    const p99 = (name: keyof typeof ports): number[] => seen[name].map(({ p99Ms }) => p99Ms);
    for (const name of names) record(group, `${what}: ${name}`, "/s", rates(name));
    ratio(group, `${what}: Swain ÷ HAProxy`, rates("swain"), rates("haproxy"));
    ratio(group, `${what}: Swain ÷ direct`, rates("swain"), rates("direct"));
    for (const name of names) record(group, `${what}, p99: ${name}`, "ms", p99(name));
    ratio(group, `${what}, p99: Swain ÷ HAProxy`, p99("swain"), p99("haproxy"));
  });
});

if (missing.length > 0) note(group, `left out: ${missing.join(" and ")} not found`);
else
  note(
    group,
    `${connections} connections, ${backends} backends, load and all servers on the same cores; HAProxy in mode tcp with 2 threads`,
  );
