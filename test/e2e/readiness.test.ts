// examples/readiness.yaml as a user deploys it: what the check says decides who gets connections.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cluster, root, swain, until } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { spread } from "../support/http.ts";
import { nodeProgramOf } from "../support/processes.ts";
import { describeServers } from "../support/nats.ts";

describeServers("examples/readiness.yaml", (natsServer) => {
  let cluster: Cluster;
  let port: number;

  beforeAll(async () => {
    cluster = await Cluster.up({ natsServer, runtime: "process", nodes: 1 });
    port = await freePort();
    const text = readFileSync(join(root, "examples/readiness.yaml"), "utf8").replaceAll("8083", String(port));
    const applied = await swain(["apply", "-f", "-", "--wait", "--data", cluster.data], { input: text });
    expect(applied.code, applied.stdout + applied.stderr).toBe(0);
  });
  afterAll(() => cluster?.dispose());

  it("is ready only when the check says so, leaves the endpoints when it fails, and comes back", async () => {
    const events = await cluster.ok("events", "-o", "json");
    // Its port accepted connections seconds before that: the check held it back, with the answer as the reason.
    expect(events).toContain("GET /health on port http answered 503");
    await until("both answer", async () => (await spread(port, 8)).size === 2);
    const pod = (await cluster.pods())[0]?.metadata.name ?? "";
    process.kill(nodeProgramOf(pod), "SIGUSR2");
    const unwell = await until("it is not ready", async () => {
      const now = (await cluster.pods()).find(({ metadata }) => metadata.name === pod);
      return now?.status.state === "running" && now;
    });
    expect(unwell.status).toMatchObject({ reason: "NOT_READY", restarts: 0 });
    expect(unwell.status.message).toContain("answered 503");
    await until("the other answers alone", async () => {
      const answers = await spread(port, 8);
      return answers.size === 1 && !answers.has(pod);
    });
    process.kill(nodeProgramOf(pod), "SIGUSR2");
    await until("both answer again", async () => (await spread(port, 8)).size === 2);
  });
});
