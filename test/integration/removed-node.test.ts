// Nodes that are removed while their agents run, or cannot be told: what becomes of their pods, of their credentials, and
// how they come back. The program as users run it, over TLS on loopback.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster, swain, until } from "../support/cluster.ts";
import { web } from "../support/manifests.ts";
import { StartedPart } from "../support/parts.ts";
import { podProcesses } from "../support/pod-processes.ts";

/** Unusual, because processes of the pods are looked for by name. */
const name = `removed${process.pid}`;

describe("a removed node", () => {
  let cluster: Cluster;
  let folder: string;
  const parts: StartedPart[] = [];
  /** Pods whose processes must not outlive the suite. */
  const seen = new Set<string>();

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "swain-removed-"));
    cluster = await Cluster.up({ nodes: 1, runtime: "process", args: ["--listen", "127.0.0.1"] });
  });
  afterAll(async () => {
    for (const part of parts) part.process.kill("SIGCONT");
    for (const end of ["", "b", "c"]) await cluster?.run("delete", `workload/${name}${end}`, "--wait");
    await Promise.all(parts.map((part) => part.stop()));
    await cluster?.dispose();
    for (const pid of [...seen].flatMap(podProcesses)) process.kill(pid, "SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });

  const token = async (): Promise<string> => (await cluster.ok("node", "join-token")).trim();
  const args = (id: string, line: string): string[] => {
    const own = ["--id", id, "--runtime", "process", "--data", join(folder, id)];
    return ["agent", ...own, "--join", line];
  };
  async function start(id: string, line: string): Promise<StartedPart> {
    const part = await StartedPart.start(args(id, line));
    parts.push(part);
    return part;
  }
  const state = async (id: string): Promise<string | undefined> =>
    (await cluster.nodes()).find((node) => node.metadata.name === id)?.status.state;
  const ready = (id: string): Promise<unknown> => until(`${id} is ready`, async () => (await state(id)) === "ready");
  const podsOn = async (id: string): Promise<string[]> =>
    (await cluster.pods()).filter((pod) => pod.spec.node === id).map((pod) => pod.metadata.name);
  const running = (pods: readonly string[]): boolean[] => pods.map((pod) => podProcesses(pod).length > 0);
  const steady = async (workload: string): Promise<boolean> =>
    (await cluster.workload(workload)).status.phase === "steady";
  const registrations = async (id: string): Promise<number> =>
    (await cluster.ok("get", "events", "-A")).match(new RegExp(`node/${id}\\s+registered`, "g"))?.length ?? 0;
  const seed = (id: string): string => readFileSync(join(folder, id, `creds/agent-${id}.nk`), "utf8");

  /** Two copies, one on each of the two nodes that are there. */
  async function spread(workload: string, id: string): Promise<string[]> {
    const applied = await cluster.apply([web(workload, { replicas: 2 })], "--wait");
    expect(applied.code, applied.stdout + applied.stderr).toBe(0);
    const pods = await podsOn(id);
    for (const pod of pods) seen.add(pod);
    expect(pods).toHaveLength(1);
    expect(running(pods)).toEqual([true]);
    return pods;
  }

  it("that joined and is alive stops its pods, loses its credentials after that, and is not listed again", async () => {
    const line = await token();
    const agent = await start("live", line);
    await ready("live");
    const old = await spread(name, "live");
    const said = await cluster.ok("node", "rm", "live", "--force");
    expect(said).toMatch(/node live removed; its 1 pod is forgotten.*\nIts agent is alive and is told now to stop/);
    await until("its pod is stopped", async () => running(old)[0] === false);
    expect(agent.isOver).toBe(false);
    await until("its credentials end", async () => cluster.printed.includes("agent-live was removed"));
    expect(cluster.printed).not.toMatch(/agent of live did not confirm/);
    await until("both copies are elsewhere", async () => (await podsOn("node-1")).length === 2 && steady(name));
    expect(await state("live")).toBeUndefined();
    expect(await registrations("live")).toBe(1);

    await agent.stop();
    const again = await swain(args("live", line));
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(/JOIN_TOKEN_USED.*was agent live removed\?/);
    expect(again.stderr).toMatch(/swain node join-token/);
    const key = seed("live");
    const back = await start("live", await token());
    await ready("live");
    expect(seed("live")).toBe(key);
    await back.stop();
    // As a unit file would, with the line of its first day: what was joined counts.
    const restarted = await start("live", line);
    await until("it is heard again", async () => restarted.output.includes("swain-ready"));
    await ready("live");
    await restarted.stop();
    await cluster.ok("node", "rm", "live", "--force");
  });

  it("that could not be told keeps its pods while it is refused, and stops them once it joined anew", async () => {
    await cluster.ok("delete", `workload/${name}`, "--wait");
    const agent = await start("deaf", await token());
    await ready("deaf");
    const old = await spread(`${name}b`, "deaf");
    agent.process.kill("SIGSTOP");
    await until("it is unheard", async () => (await state("deaf")) === "unknown");
    const said = await cluster.ok("node", "rm", "deaf");
    expect(said).toMatch(/Its agent is not heard, so copies of its pods may run on there/);
    await until("its credentials end", async () => cluster.printed.includes("agent-deaf was removed"));
    agent.process.kill("SIGCONT");
    await agent.stop();
    expect(running(old)).toEqual([true]);
    await start("deaf", await token());
    await ready("deaf");
    await until("its old pod is stopped", async () => running(old)[0] === false);
  });

  it("of the cluster's own machine stops its pods and comes back later, as the command says", async () => {
    await cluster.ok("delete", `workload/${name}b`, "--wait");
    const old = await spread(`${name}c`, "node-1");
    const said = await cluster.ok("node", "rm", "node-1", "--force");
    expect(said).toMatch(/comes back uncordoned in about 20 s: stop that agent/);
    await until("its pod is stopped", async () => running(old)[0] === false);
    await ready("node-1");
    expect(await cluster.ok("state", "verify")).toMatch(/equal, byte for byte/);
  });
});
