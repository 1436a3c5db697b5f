// The commands against a real controller and simulated nodes on a real nats-server.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PodObject } from "../../schemas/generated/types.ts";
import { startAgent } from "../../services/agent/main.ts";
import { startController } from "../../services/controller/main.ts";
import { silent } from "../../services/kernel/log.ts";
import type { Running } from "../../services/kernel/running.ts";
import { runCli, startCli } from "../support/cli.ts";
import type { CliOptions, CliResult } from "../support/cli.ts";
import { anyServer, startServer } from "../support/nats.ts";
import type { TestServer } from "../support/nats.ts";

let folder: string;
let server: TestServer;
const running: Running[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "swain-cli-cluster-"));
  server = await startServer(anyServer());
  const common = { server: server.url, cluster: "test", log: silent };
  running.push(await startController({ ...common, id: "controller-1" }));
  running.push(
    await startAgent({ ...common, id: "node", nodes: 3, runtime: "sim", data: folder, advertise: "127.0.0.1" }),
  );
});
afterAll(async () => {
  for (const part of running.toReversed()) await part.stop();
  await server?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const cluster = (): string[] => ["--server", server.url, "--cluster", "test"];
const swain = (args: string[], options: CliOptions = {}): Promise<CliResult> =>
  runCli([...args, ...cluster()], options);

async function ok(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await swain(args);
  expect(code, `${args.join(" ")}\n${stdout}${stderr}`).toBe(0);
  return stdout;
}

const examples = join(import.meta.dirname, "../../examples");
const files = readdirSync(examples, { recursive: true, encoding: "utf8" }).filter((name) => /\.ya?ml$/.test(name));

test.each(files)("the example %s is applied, settles, is described, and goes without a trace", async (file) => {
  const path = join(examples, file);
  await ok("apply", "-f", path, "--dry-run");
  expect(await ok("get", "workloads", "-A", "-o", "name")).toBe("");
  expect(await ok("apply", "-f", path, "--wait", "--timeout", "60s")).toMatch(/^workload \S+ created$/m);
  expect(await ok("apply", "-f", path)).not.toMatch(/created|configured/);
  const names = (await ok("get", "workloads", "-A", "-o", "name")).trim().split("\n");
  const { items } = JSON.parse(await ok("get", "workloads", "-A", "-o", "json")) as { items: PodObject[] };
  expect(names).toHaveLength(items.length);
  for (const { metadata } of items) {
    const story = await ok("describe", `workload/${metadata.name}`, "-n", metadata.namespace ?? "");
    expect(story).toMatch(/^Phase: +steady$/m);
    expect(story).toContain("Last events:\n");
  }
  await ok("delete", "-f", path, "--wait", "--timeout", "60s");
  expect(await ok("get", "pods", "-A", "-o", "name")).toBe("");
  expect(await ok("get", "services", "-A", "-o", "name")).toBe("");
  expect(await ok("get", "autoscalers", "-A", "-o", "name")).toBe("");
});

const web = (cpu: string): string => `apiVersion: swain/v1
kind: Workload
metadata: { name: web }
spec:
  replicas: 2
  containers: [{ name: a, sim: {}, resources: { requests: { cpu: ${cpu} } } }]
`;

test("a request larger than any node is seen with its reason in get, describe, events and the wait", async () => {
  const applied = await swain(["apply", "-f", "-", "--wait", "--timeout", "500ms"], { input: web("5000") });
  expect(applied.code).toBe(5);
  expect(applied.stderr).toMatch(/^pod\/web-\d+: pending TOO_LARGE_FOR_ANY_NODE: .+$/m);
  expect(await ok("get", "pods")).toMatch(/^web-\d+ +pending .*TOO_LARGE_FOR_ANY_NODE: /m);
  expect(await ok("get", "workload/web")).toContain("TOO_LARGE_FOR_ANY_NODE");
  expect(await ok("describe", "workload/web")).toContain(
    "  TOO_LARGE_FOR_ANY_NODE: Lower the request, or add a larger node.\n",
  );
  expect(await ok("describe", "workload/web")).toMatch(/^Waiting for: +2 pending to go on$/m);
  expect(await ok("events", "--last", "20")).toMatch(/pending +TOO_LARGE_FOR_ANY_NODE: /);
  await ok("delete", "workload/web", "--wait");
});

test("scaling is observed, a watch sees it, and log and projections agree from outside", async () => {
  const watch = startCli(["get", "pods", "-w", ...cluster()]);
  await swain(["apply", "-f", "-", "--wait"], { input: web("1m") });
  await ok("scale", "workload/web", "--replicas", "7", "--wait");
  expect((await ok("get", "pods", "-o", "name")).trim().split("\n")).toHaveLength(7);
  await ok("scale", "workload/web", "--replicas", "1", "--wait");
  expect((await ok("get", "pods", "-o", "name")).trim().split("\n")).toHaveLength(1);
  await expect.poll(() => watch.stdout().match(/gone/g)?.length, { timeout: 10_000 }).toBe(6);
  watch.interrupt();
  expect(await watch.done).toBe(0);
  expect(await ok("state", "verify")).toMatch(/^\d+ records up to \d+ \(0 foreign\), \d+ keys: equal, byte for byte$/m);
  await ok("delete", "workload/web", "--wait");
});

test("scaling what is not there is exit code 3, and nodes are shown with what they hold", async () => {
  expect((await swain(["scale", "workload/none", "--replicas", "1"])).code).toBe(3);
  expect(await ok("get", "nodes")).toMatch(/^node-1 +ready +sim +0\//m);
  expect(await ok("describe", "node/node-2")).toMatch(/^Runtime: +sim /m);
});
