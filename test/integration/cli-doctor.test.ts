// `swain doctor`: the built program, with no cluster, with a healthy one, and with what goes wrong.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { localPaths } from "../../cli/local/layout.ts";
import { certificatePaths, ensureCertificates } from "../../services/bus/embedded/certificates.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { systemDisk } from "../../services/kernel/node/disk.ts";
import { connectTo } from "../support/bus.ts";
import { swain, until } from "../support/cluster.ts";
import type { Result } from "../support/cluster.ts";
import { SimCluster } from "../support/sim-cluster.ts";

let cluster: SimCluster;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "swain-doctor-"));
  cluster = await SimCluster.start();
});
afterAll(async () => {
  await cluster?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

interface Found {
  readonly check: string;
  readonly level: string;
  readonly code?: string;
  readonly message: string;
  readonly cure?: string;
}

/** Without anything of this machine's user: no contexts, no data folder. */
const alone = { HOME: "/nonexistent", XDG_CONFIG_HOME: "/nonexistent", SWAIN_SERVER: "", SWAIN_DATA: "" };
const doctor = (...args: string[]): Promise<Result> =>
  swain(["doctor", ...args], { env: { ...alone, SWAIN_DATA: args.includes("--data") ? "" : folder } });

async function found(...args: string[]): Promise<{ code: number; checks: Map<string, Found> }> {
  const { code, stdout } = await doctor(...args, "-o", "json");
  const { healthy, findings } = JSON.parse(stdout) as { healthy: boolean; findings: Found[] };
  expect(healthy).toBe(code === 0);
  for (const { level, code: reason, cure } of findings)
    expect([level === "ok", reason !== undefined]).toEqual([cure === undefined, cure !== undefined]);
  return { code, checks: new Map(findings.map((finding) => [finding.check, finding])) };
}

test("without a cluster this machine is looked at, and a server that was named is missed", async () => {
  const { code, stdout } = await swain(["doctor"], { env: { ...alone, HOME: folder } });
  expect(stdout).toMatch(/^ok {4}Node\.js +\d+\.\d+/m);
  expect(stdout).toMatch(/^(ok|warn) +limits +/m);
  expect(stdout).toMatch(/^(ok|warn) +engine +.*(answers|no container engine)/m);
  expect(stdout).toMatch(/^(ok|warn) +ports +/m);
  // A nats-server of somebody else on the usual port would be found; otherwise nothing is broken.
  if (stdout.includes("no cluster was named")) expect(code).toBe(0);
  const named = await found("--server", "nats://127.0.0.1:1");
  expect(named.code).toBe(1);
  expect(named.checks.get("server")).toMatchObject({ level: "bad", code: "NATS_UNREACHABLE" });
});

test("the engine that was named is looked at, else the one the agents here remember", async () => {
  const named = await found("--engine", join(folder, "named.sock"));
  expect(named.code).toBe(1);
  expect(named.checks.get("engine")).toMatchObject({ level: "bad", code: "ENGINE_UNREACHABLE" });
  expect(named.checks.get("engine")?.message).toContain("named.sock");
  const data = join(folder, "agents");
  mkdirSync(join(data, "nodes", "node-1"), { recursive: true });
  writeFileSync(join(data, "nodes", "node-1", "engine"), `unix://${join(folder, "remembered.sock")}\n`);
  const remembered = await found("--data", data);
  expect(remembered.checks.get("engine")).toMatchObject({ level: "warn", code: "ENGINE_UNREACHABLE" });
  expect(remembered.checks.get("engine")?.message).toContain("remembered.sock");
});

test("a healthy cluster is told to be so, with figures", async () => {
  const { code, checks } = await found(...cluster.options);
  expect(code, JSON.stringify([...checks.values()])).toBe(0);
  expect(checks.get("server")?.message).toMatch(/answers in \d+\.\d ms$/);
  expect(checks.get("version")?.message).toContain("nats-server 2.");
  expect(checks.get("JetStream")?.message).toMatch(/ stored in 7 streams$/);
  expect(checks.get("snapshots")).toMatchObject({ level: "ok" });
  expect(checks.get("streams")?.message).toMatch(/^all there; SWAIN_test_EVENTS \S+ of \S+, \d+ records$/);
  expect(checks.get("leader")?.message).toMatch(/^controller-1 leads in epoch \d+, .* [345] beats in 2\.2 s$/);
  expect(checks.get("clocks")?.message).toMatch(/^3 compared; at most .* is \d+ ms (ahead of|behind) this machine/);
  expect(checks.get("nodes")?.message).toBe("2 ready");
});

test("a clock that is wrong is measured, in either direction", async () => {
  const bus = await connectTo(cluster.server.url);
  const subjects = subjectsOf("test");
  const beat = (node: string, ahead: number): void =>
    bus.publish(subjects.node.heartbeat(node), { time: Date.now() + ahead });
  const beating = setInterval(() => (beat("fast", 90_000), beat("slow", -7000)), 200);
  try {
    const { stdout, code } = await doctor(...cluster.options);
    expect(code).toBe(0);
    const ms = (pattern: RegExp): number => Number(pattern.exec(stdout)?.[1]);
    const ahead = ms(/^warn {2}clocks +CLOCK_SKEW: node fast is (\d+) ms ahead of this machine$/m);
    const behind = ms(/^warn {2}clocks +CLOCK_SKEW: node slow is (\d+) ms behind this machine$/m);
    expect(Math.abs(ahead - 90_000)).toBeLessThan(2000);
    expect(Math.abs(behind - 7000)).toBeLessThan(2000);
    expect(stdout).toMatch(/^ {17}Set the clocks by NTP/m);
  } finally {
    clearInterval(beating);
    await bus.close();
  }
});

test("keys that others may read, and a folder that is none, are broken", async () => {
  const data = join(folder, "data");
  mkdirSync(join(data, "creds"), { recursive: true });
  writeFileSync(join(data, "creds", "operator.nk"), "", { mode: 0o600 });
  const { SWAIN_DATA: _, ...env } = alone;
  const look = async (): Promise<Result> =>
    swain(["doctor", ...cluster.options], { env: { ...env, SWAIN_DATA: data } });
  expect((await look()).stdout).not.toContain("KEYS_EXPOSED");
  chmodSync(join(data, "creds", "operator.nk"), 0o644);
  const { code, stdout } = await look();
  expect([code, stdout]).toEqual([
    1,
    expect.stringMatching(/^bad +keys +KEYS_EXPOSED: others may read .*operator\.nk$/m),
  ]);
  expect(stdout).toMatch(/\n1 broken\.\n$/);
});

test("a certificate that was not renewed in time is said, and one that ended is broken", async () => {
  const data = join(folder, "tls");
  const paths = localPaths(data);
  await systemDisk.writeAtomic(paths.record, JSON.stringify({ ownServer: true, server: "tls://127.0.0.1:1" }));
  const { SWAIN_DATA: _, ...env } = alone;
  const look = async (daysOld: number): Promise<string> => {
    rmSync(certificatePaths(paths.tls).certificate, { force: true });
    await ensureCertificates(systemDisk, paths.tls, {
      cluster: "c",
      hosts: [],
      now: Date.now() - daysOld * 86_400_000,
    });
    return (await swain(["doctor", ...cluster.options], { env: { ...env, SWAIN_DATA: data } })).stdout;
  };
  expect(await look(300)).toMatch(/^ok +TLS +the server's certificate ends on \d{4}-\d\d-\d\d$/m);
  expect(await look(310)).toMatch(/^warn +TLS +CERTIFICATE_ENDS: the server's certificate ends on /m);
  expect(await look(370)).toMatch(/^bad +TLS +CERTIFICATE_ENDS: the server's certificate ended on /m);
});

test("buckets that take no writes are broken, and well again when they do", async () => {
  const bus = await connectTo(cluster.server.url);
  const stream = `KV_${subjectsOf("test").buckets.pods}`;
  const api = async (verb: string, body: object = {}): Promise<{ config: object }> =>
    (await bus.request(`$JS.API.STREAM.${verb}.${stream}`, body, { timeoutMs: 5000 })).json() as { config: object };
  const { config } = await api("INFO");
  const broken = async (): Promise<boolean> => (await found(...cluster.options)).checks.get("buckets")?.level === "bad";
  try {
    await api("UPDATE", { ...config, max_msg_size: 1 });
    await cluster.web("late", 1, {}, false);
    await until("it is found", broken);
    expect((await found(...cluster.options)).checks.get("buckets")?.code).toBe("PROJECTIONS_LATE");
  } finally {
    await api("UPDATE", config);
  }
  await until("it is well again", async () => !(await broken()));
  await cluster.ok(["delete", "workload/late", "--wait"]);
  await bus.close();
});

test("a cluster nobody leads is broken", async () => {
  const { code, checks } = await found("--server", cluster.server.url, "--cluster", "other");
  expect(code).toBe(1);
  expect(checks.get("leader")).toMatchObject({ level: "bad", code: "NO_LEADER" });
  expect(checks.get("streams")).toMatchObject({ level: "bad", code: "JETSTREAM_ERROR" });
});

test("a log that was deleted alone is told with the way back", async () => {
  const bus = await connectTo(cluster.server.url);
  await bus.request(`$JS.API.STREAM.DELETE.${subjectsOf("test").stream}`, {}, { timeoutMs: 5000 });
  await bus.close();
  const { code, checks } = await found(...cluster.options);
  expect([code, checks.get("streams")?.code]).toEqual([1, "LOG_INCOMPLETE"]);
});
