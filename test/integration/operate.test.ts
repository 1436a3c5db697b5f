// Controller, agent and proxy as processes with --http, looked at as a monitoring system would.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { agentFamilies } from "../../services/agent/figures.ts";
import { controllerFamilies } from "../../services/controller/figures.ts";
import { proxyFamilies } from "../../services/proxy/figures.ts";
import { swain, until } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { get } from "../support/http.ts";
import { service, web } from "../support/manifests.ts";
import { anyServer, startServer } from "../support/nats.ts";
import type { TestServer } from "../support/nats.ts";
import { PartProcess } from "../support/part.ts";
import { nameComplaints, readMetrics } from "../support/prometheus.ts";
import type { ReadFamily } from "../support/prometheus.ts";

interface Page {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

let folder: string;
let server: TestServer;
let port: number;
const parts: Record<string, PartProcess> = {};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "swain-operate-"));
  server = await startServer(anyServer());
  port = await freePort();
  const start = (name: string, ...args: string[]): Promise<PartProcess> =>
    PartProcess.start([name, "--server", server.url, "--id", `${name}-1`, "--http", "0", ...args]);
  parts["controller"] = await start("controller");
  parts["agent"] = await start("agent", "--runtime", "process", "--data", join(folder, "a"), "--stop-pods");
  parts["proxy"] = await start("proxy", "--all", "--data", join(folder, "p"));
  const manifests = [web("web", { replicas: 2 }), service("web", port)];
  writeFileSync(join(folder, "web.yaml"), manifests.map((one) => `${JSON.stringify(one)}\n`).join("---\n"));
  const applied = await swain(["apply", "-f", join(folder, "web.yaml"), "--wait", "--server", server.url]);
  expect(applied.code, applied.stdout + applied.stderr).toBe(0);
});
afterAll(async () => {
  for (const name of ["proxy", "agent", "controller"]) await parts[name]?.stop();
  await server?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

function look(part: string, path: string, method = "GET"): Promise<Page> {
  return new Promise((resolve, reject) => {
    const asked = request(`${parts[part]?.http}${path}`, { method, agent: false }, (answer) => {
      let body = "";
      answer.on("data", (chunk: Buffer) => (body += chunk.toString()));
      answer.on("end", () =>
        resolve({ status: answer.statusCode ?? 0, type: answer.headers["content-type"] ?? "", body }),
      );
    });
    asked.on("error", reject);
    asked.end();
  });
}

async function scrape(part: string): Promise<Map<string, ReadFamily>> {
  const { status, type, body } = await look(part, "/metrics");
  expect(status).toBe(200);
  expect(type).toMatch(/^text\/plain; version=0\.0\.4/);
  return readMetrics(body);
}

const value = (families: Map<string, ReadFamily>, name: string, labels: Record<string, string> = {}): number =>
  families
    .get(name)
    ?.samples.find((sample) => Object.entries(labels).every(([label, wanted]) => sample.labels[label] === wanted))
    ?.value ?? NaN;

describe("figures", () => {
  it.each([
    ["controller", controllerFamilies],
    ["agent", agentFamilies],
    ["proxy", proxyFamilies],
  ])("of the %s are all there, well formed and well named", async (part, wanted) => {
    const families = await scrape(part);
    for (const { name, kind, help } of wanted) expect(families.get(name)).toMatchObject({ type: kind, help });
    const own = [...families.values()].filter(({ name }) => name.startsWith("swain_"));
    expect(own.map(({ name }) => name).sort()).toEqual(wanted.map(({ name }) => name).sort());
    expect(own.flatMap((family) => nameComplaints(family))).toEqual([]);
    expect(value(families, "process_resident_memory_bytes")).toBeGreaterThan(10_000_000);
    expect(families.has("nodejs_eventloop_lag_p99_seconds")).toBe(true);
  });

  it("of the controller follow what happens in the cluster", async () => {
    const families = await scrape("controller");
    expect(value(families, "swain_controller_leader")).toBe(1);
    expect(value(families, "swain_controller_terms_total")).toBe(1);
    expect(value(families, "swain_controller_epoch")).toBeGreaterThan(0);
    expect(value(families, "swain_controller_append_duration_seconds", {})).toBeGreaterThanOrEqual(0);
    const appends = families.get("swain_controller_append_duration_seconds")?.samples.at(-1)?.value ?? 0;
    expect(appends).toBeGreaterThanOrEqual(value(families, "swain_controller_events_appended_total"));
    expect(value(families, "swain_cluster_nodes", { state: "ready" })).toBe(1);
    expect(value(families, "swain_cluster_pods", { state: "ready" })).toBe(2);
    expect(value(families, "swain_controller_api_requests_total", { verb: "manifest.apply", code: "OK" })).toBe(1);
    await swain(["scale", "workload/nothing", "--replicas", "2", "--server", server.url]);
    await until("the refusal is counted", async () => {
      const after = await scrape("controller");
      return value(after, "swain_controller_api_requests_total", { verb: "workload.scale", code: "NOT_FOUND" }) === 1;
    });
  });

  it("of the agent count pods, engine calls and reports", async () => {
    const families = await scrape("agent");
    expect(value(families, "swain_agent_pods", { state: "ready" })).toBe(2);
    expect(value(families, "swain_agent_engine_calls_total", { call: "start", code: "OK" })).toBe(2);
    expect(value(families, "swain_agent_reports_total")).toBeGreaterThan(0);
    expect(value(families, "swain_agent_journal_writes_total")).toBeGreaterThan(0);
    expect(value(families, "swain_agent_nodes_connected")).toBe(1);
  });

  it("of the proxy count connections and bytes by service", async () => {
    await get(port);
    await until("the connection is counted", async () => {
      const families = await scrape("proxy");
      const bytes = value(families, "swain_proxy_service_bytes_total", { service: "default/web", direction: "out" });
      expect(value(families, "swain_proxy_service_backends", { service: "default/web", state: "up" })).toBe(2);
      return value(families, "swain_proxy_service_connections_total", { service: "default/web" }) >= 1 && bytes > 0;
    });
  });
});

describe("conditions", () => {
  it("are met in a whole cluster", async () => {
    for (const part of ["controller", "agent", "proxy"]) {
      for (const path of ["/health", "/ready"]) {
        const { status, body } = await look(part, path);
        expect(status, `${part} ${path}: ${body}`).toBe(200);
        expect(JSON.parse(body)).toMatchObject({ ok: true });
      }
    }
  });

  it("tell a missing bus: unready but healthy, while the proxy stays ready on what it knows", async () => {
    await server.stop();
    try {
      await until("the controller is unready", async () => (await look("controller", "/ready")).status === 503);
      await until("the agent is unready", async () => (await look("agent", "/ready")).status === 503);
      const { checks } = JSON.parse((await look("agent", "/ready")).body) as { checks: object[] };
      expect(checks).toEqual([
        { name: "bus", ok: false, message: "not connected" },
        expect.objectContaining({ name: "engine", ok: true }),
      ]);
      for (const part of ["controller", "agent", "proxy"]) expect((await look(part, "/health")).status).toBe(200);
      expect((await look("proxy", "/ready")).status).toBe(200);
    } finally {
      await server.start();
    }
    await until("all are ready again", async () => {
      const pages = await Promise.all(["controller", "agent", "proxy"].map((part) => look(part, "/ready")));
      return pages.every(({ status }) => status === 200);
    });
  });

  it("show a part that waits for the bus as healthy and starting", async () => {
    const other = await freePort();
    const http = await freePort();
    const starting = PartProcess.launch([
      "controller",
      "--server",
      `nats://127.0.0.1:${other}`,
      "--id",
      "early",
      "--http",
      String(http),
    ]);
    try {
      const ask = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${http}${path}`);
      await until("it answers", async () => (await ask("/health")).status === 200);
      expect((await ask("/ready")).status).toBe(503);
      expect(await (await ask("/metrics")).text()).toContain("process_cpu_seconds_total");
    } finally {
      await starting.stop("SIGKILL");
    }
  });
});

describe("the server of --http", () => {
  it("listens on loopback, knows three pages, and takes nothing but GET", async () => {
    expect(parts["controller"]?.http).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect((await look("controller", "/")).status).toBe(404);
    expect((await look("controller", "/health", "POST")).status).toBe(405);
    expect((await look("controller", "/metrics", "HEAD")).body).toBe("");
  });

  it("lets a caller go that sends nothing", async () => {
    const { port } = new URL(parts["controller"]?.http ?? "");
    const socket = connect(Number(port), "127.0.0.1").resume();
    await new Promise((resolve) => socket.once("close", resolve));
  });

  it("says what is wrong with an address", async () => {
    const refused = await swain(["controller", "--server", server.url, "--http", "nowhere"]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("--http: write HOST:PORT or PORT");
    const { port } = new URL(parts["controller"]?.http ?? "");
    const taken = await swain(["controller", "--server", server.url, "--http", port]);
    expect(taken.stderr).toContain("PORT_IN_USE");
  });
});
