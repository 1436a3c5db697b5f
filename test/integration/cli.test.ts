// The commands against a real nats-server, with a leader that answers what each test needs.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SwainError } from "../../services/kernel/errors.ts";
import { runCli } from "../support/cli.ts";
import type { CliRun } from "../support/cli.ts";
import { FakeLeader, feedEvent, podObject, workloadObject } from "../support/cli-leader.ts";

let leader: FakeLeader;
let folder: string;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "swain-cli-"));
  leader = await FakeLeader.start();
});
afterEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  await leader.close();
});

const accepted = (action: string, kind = "Workload", name = "web", sequence = 7): object => ({
  epoch: 1,
  sequence,
  results: [{ kind, namespace: "default", name, action }],
});
const workload =
  "apiVersion: swain/v1\nkind: Workload\nmetadata: { name: web }\nspec: { containers: [{ name: a, image: b }] }\n";
const shown = (run: CliRun, text: string): Promise<void> =>
  expect.poll(run.stdout, { timeout: 10_000 }).toContain(text);

test("apply sends all documents at once with an operation id and prints what became of each", async () => {
  leader.on("_.manifest.apply", () => accepted("created"));
  const result = await leader.run(["apply", "-f", "-"], { input: workload });
  expect(result).toEqual({ code: 0, stdout: "workload default/web created\n", stderr: "" });
  expect(leader.bodies("_.manifest.apply")).toEqual([
    { operation: expect.stringMatching(/^[a-z0-9]{22}$/), documents: [expect.objectContaining({ kind: "Workload" })] },
  ]);
});

test("a dry run says so and changes nothing", async () => {
  leader.on("_.manifest.apply", () => accepted("created"));
  const { stdout } = await leader.run(["apply", "-f", "-", "--dry-run", "--wait"], { input: workload });
  expect(stdout).toBe("workload default/web created (dry run)\n");
  expect(leader.bodies("_.manifest.apply")[0]).toMatchObject({ dryRun: true });
});

test("a change is retried with the same operation id through BUSY and a change of leader", async () => {
  let tries = 0;
  leader.on("default.workload.scale", () => {
    tries += 1;
    if (tries === 1) throw new SwainError("BUSY", "too much to do", { details: { retryAfterMs: 50 } });
    if (tries === 2) throw new SwainError("NO_LEADER", "just elected");
    return accepted("scaled");
  });
  const { code } = await leader.run(["scale", "workload/web", "--replicas", "3"]);
  expect(code).toBe(0);
  const bodies = leader.bodies("default.workload.scale");
  expect(bodies).toHaveLength(3);
  expect(new Set(bodies.map(({ operation }) => operation)).size).toBe(1);
  expect(bodies[0]).toMatchObject({ name: "web", replicas: 3 });
});

test("a leader that comes within the retry time is found", async () => {
  leader.on("default.workload.scale", () => accepted("scaled"));
  await leader.resign();
  const run = leader.follow(["scale", "workload/web", "--replicas", "1"]);
  await expect.poll(run.stderr, { timeout: 10_000 }).toBe("Still waiting for a leader of cluster test (NO_LEADER) …\n");
  await leader.lead();
  expect(await run.done).toBe(0);
  expect(leader.bodies("default.workload.scale")).toHaveLength(1);
});

test("what the leader finds wrong is told by file and line", async () => {
  const file = join(folder, "web.yaml");
  writeFileSync(file, `# first line\n${workload}`);
  leader.on("_.manifest.apply", () => {
    const problems = [{ document: 0, path: "/metadata/name", code: "BAD_VALUE", message: "is taken", value: "web" }];
    throw new SwainError("INVALID_MANIFEST", "1 problem", { details: { problems } });
  });
  const { code, stderr } = await leader.run(["apply", "-f", file]);
  expect(code).toBe(2);
  expect(stderr).toBe(
    `${file}:4:19: is taken ("web")\nerror: INVALID_MANIFEST: 1 problem\n` +
      "  Correct the places named and apply again; nothing was changed.\n",
  );
});

test("lists are read page by page, and JSON is what the leader sent", async () => {
  const pods = ["web-1", "web-2", "web-3"].map((name) => podObject(name, "ready"));
  leader.on("_.pod.list", ({ after }) => {
    const at = after === undefined ? 0 : Number(after);
    return { epoch: 1, sequence: 1, items: pods.slice(at, at + 2), ...(at === 0 ? { next: "2" } : {}) };
  });
  const { stdout } = await leader.run(["get", "pods", "-A", "-o", "json"]);
  expect(JSON.parse(stdout)).toEqual({ items: pods });
});

test("one object is printed alone; one that is not there is exit code 3", async () => {
  leader.on("shop.pod.get", ({ name }) => {
    if (name !== "web-1") throw new SwainError("NOT_FOUND", `There is no pod ${String(name)}.`);
    return { epoch: 1, sequence: 1, items: [podObject("web-1", "ready")] };
  });
  const { stdout } = await leader.run(["get", "pod/web-1", "-n", "shop", "-o", "json"]);
  expect(JSON.parse(stdout)).toEqual(podObject("web-1", "ready"));
  const missing = await leader.run(["get", "pod", "web-2", "-n", "shop"]);
  expect(missing).toMatchObject({ code: 3, stdout: "" });
  expect(missing.stderr).toContain("error: NOT_FOUND: There is no pod web-2.\n  List what is there with `swain get`.");
});

test("an empty list is said on standard error and is no error", async () => {
  leader.items("default.pod.list", () => []);
  expect(await leader.run(["get", "pods"])).toEqual({ code: 0, stdout: "", stderr: "No pods in namespace default.\n" });
});

test("an answer that is no JSON object ends the command with a code", async () => {
  leader.on("default.pod.list", () => new TextEncoder().encode("not json"));
  const { code, stderr } = await leader.run(["get", "pods"]);
  expect(code).toBe(1);
  expect(stderr).toContain("error: INTERNAL: the answer on");
});

test("a watch shows what changes and what goes, and Ctrl-C ends it with exit code 0", async () => {
  let pods = [podObject("web-1", "starting"), podObject("web-2", "ready")];
  leader.items("default.pod.list", () => pods);
  const run = leader.follow(["get", "pods", "-w"]);
  await shown(run, "web-2");
  pods = [podObject("web-1", "ready")];
  leader.feed(2, { kind: "pod", name: "web-1", verb: "ready", namespace: "default" });
  await shown(run, "gone");
  run.interrupt();
  expect(await run.done).toBe(0);
  const words = run
    .stdout()
    .split("\n")
    .map((line) => line.split(/ {2,}/).slice(0, 2).join(" "));
  expect(words).toEqual(["NAME STATE", "web-1 starting", "web-2 ready", "web-1 ready", "web-2 gone", ""]);
  // The second look asks for a state at least as new as the hint.
  expect(leader.bodies("default.pod.list").map(({ minSeq }) => minSeq)).toEqual([undefined, 2]);
});

test("--wait reports success when it was observed and not when it was accepted", async () => {
  let ready = 0;
  leader.on("default.workload.scale", () => accepted("scaled"));
  leader.items("default.workload.get", () => [
    workloadObject({ ready, phase: ready === 2 ? "steady" : "progressing" }),
  ]);
  const run = leader.follow(["scale", "workload/web", "--replicas", "2", "--wait"]);
  await expect.poll(run.stderr).toContain("workload default/web: 0/2 ready, progressing\n");
  ready = 2;
  leader.feed(9, { kind: "pod", name: "web-1", verb: "ready", namespace: "default" });
  expect(await run.done).toBe(0);
  expect(run.stderr()).toContain("workload default/web: 2/2 ready\n");
  // Never from a state older than the accepted change.
  expect(leader.bodies("default.workload.get").map(({ minSeq }) => minSeq)).toEqual([7, 9]);
});

test("--wait fails with the reason when a change halts", async () => {
  leader.on("_.manifest.apply", () => accepted("configured"));
  const halted = { phase: "halted", reason: "PROGRESS_DEADLINE", message: "web-4 is not ready after 60 s" };
  leader.items("default.workload.get", () => [workloadObject(halted)]);
  const { code, stderr } = await leader.run(["apply", "-f", "-", "--wait"], { input: workload });
  expect(code).toBe(1);
  expect(stderr).toContain("error: PROGRESS_DEADLINE: workload default/web halted: web-4 is not ready after 60 s\n");
});

test("--wait gives up after --timeout with exit code 5 and the reasons of the pods", async () => {
  leader.on("_.manifest.apply", () => accepted("created"));
  leader.items("default.workload.get", () => [workloadObject({ ready: 1 })]);
  const reason = { reason: "IMAGE_NOT_FOUND", message: "no such image nginx:0" };
  leader.items("default.pod.list", () => [podObject("web-1", "ready"), podObject("web-2", "failed", reason)]);
  const { code, stderr } = await leader.run(["apply", "-f", "-", "--wait", "--timeout", "300ms"], { input: workload });
  expect(code).toBe(5);
  expect(stderr).toContain("pod/web-2: failed IMAGE_NOT_FOUND: no such image nginx:0\n");
  expect(stderr).not.toContain("pod/web-1");
  expect(stderr).toContain("error: WAIT_TIMEOUT: not there after 0s: workload default/web\n");
});

test("Ctrl-C during --wait ends with 130 and says that the change goes on", async () => {
  leader.on("default.workload.scale", () => accepted("scaled"));
  leader.items("default.workload.get", () => [workloadObject({})]);
  const run = leader.follow(["scale", "workload/web", "--replicas", "2", "--wait"]);
  await expect.poll(run.stderr).toContain("0/2 ready");
  run.interrupt();
  expect(await run.done).toBe(130);
  expect(run.stderr()).toContain("Interrupted: what was accepted goes on.\n");
});

test("delete waits until the object is gone; of several the missing ones are told by exit code 3", async () => {
  let there = true;
  leader.on("default.workload.delete", () => accepted("deleted"));
  leader.on("default.service.delete", () => {
    throw new SwainError("NOT_FOUND", "There is no service web.");
  });
  leader.on("default.workload.get", () => {
    if (!there) throw new SwainError("NOT_FOUND", "gone");
    // Its pods are none that it counts, from the beginning.
    return { epoch: 1, sequence: 9, items: [workloadObject({ pods: 0, phase: "deleting" })] };
  });
  const service =
    "---\napiVersion: swain/v1\nkind: Service\nmetadata: { name: web }\nspec: { selector: { workload: x }, ports: [{ port: 1, targetPort: 1 }] }\n";
  const run = leader.follow(["delete", "-f", "-", "--wait"], { input: `${workload}${service}` });
  await expect.poll(run.stderr).toContain("workload default/web: its pods are stopping\n");
  there = false;
  leader.feed(11, { kind: "workload", name: "web", verb: "removed", namespace: "default" });
  expect(await run.done).toBe(3);
  expect(run.stdout()).toBe("workload default/web deleted\n");
  expect(run.stderr()).toMatch(/^service default\/web is not there\n.*workload default\/web: gone\n$/s);
});

test("delete --wait that ends too early says what is still there", async () => {
  leader.on("default.workload.delete", () => accepted("deleted"));
  leader.items("default.workload.get", () => [workloadObject({ pods: 0, phase: "deleting" })]);
  leader.items("default.pod.list", () => [podObject("web-1", "stopping")]);
  const { code, stderr } = await leader.run(["delete", "workload/web", "--wait", "--timeout", "300ms"]);
  expect(code).toBe(5);
  expect(stderr).toContain("pod/web-1: stopping\n");
  expect(stderr).toContain("error: WAIT_TIMEOUT: still there after 0s: workload default/web\n");
  expect(stderr).not.toContain("0 pods left");
});

test("events -f shows past events, then new ones, each once and in order", async () => {
  const pod = (sequence: number, verb: string): Record<string, unknown> =>
    feedEvent(sequence, { kind: "pod", name: "web-1", verb, namespace: "default" });
  leader.on("_.event.list", () => {
    // One happens while the list is made: it is in the list and comes by the feed, too.
    leader.feed(3, { kind: "pod", name: "web-1", verb: "starting", namespace: "default" });
    return { epoch: 1, sequence: 3, items: [pod(2, "assigned"), pod(3, "starting")] };
  });
  const run = leader.follow(["events", "-f", "-o", "json"]);
  await shown(run, "starting");
  leader.feed(4, { kind: "node", name: "n1", verb: "unknown" });
  leader.feed(3, { kind: "pod", name: "web-1", verb: "starting", namespace: "default" });
  leader.feed(5, { kind: "pod", name: "web-1", verb: "ready", namespace: "default" });
  await shown(run, "ready");
  // The log lost its end, and what came before it goes on from there.
  leader.feed(4, { kind: "leader", name: "c2", verb: "elected" }, 4);
  await shown(run, "elected");
  leader.feed(4, { kind: "leader", name: "c2", verb: "elected" }, 4);
  leader.feed(5, { kind: "pod", name: "web-1", verb: "failed", namespace: "default" }, 4);
  await shown(run, "failed");
  run.interrupt();
  expect(await run.done).toBe(0);
  const events = run
    .stdout()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { type: string; sequence: number });
  expect(events.map(({ type, sequence }) => `${sequence} ${type}`)).toEqual([
    "2 swain.pod.assigned",
    "3 swain.pod.starting",
    "4 swain.node.unknown",
    "5 swain.pod.ready",
    "4 swain.leader.elected",
    "5 swain.pod.failed",
  ]);
});

test("events -f asks for what it missed while the server was away", async () => {
  let past: unknown[] = [];
  leader.items("_.event.list", () => past);
  const run = leader.follow(["events", "-f", "-o", "json"]);
  await expect.poll(() => leader.bodies("_.event.list").length).toBe(1);
  past = [feedEvent(8, { kind: "pod", name: "web-9", verb: "lost", namespace: "default" })];
  await leader.server.stop();
  await leader.server.start();
  await shown(run, "swain.pod.lost");
  run.interrupt();
  expect(await run.done).toBe(0);
});

test("events go back in time by pages until as many as asked for are there", async () => {
  const one = (sequence: number): object =>
    feedEvent(sequence, { kind: "pod", name: "a", verb: "ready", namespace: "x" });
  leader.on("_.event.list", ({ after }) =>
    after === undefined
      ? { epoch: 1, sequence: 9, items: [one(8), one(9)], next: "old" }
      : { epoch: 1, sequence: 9, items: [one(6), one(7)], next: "older" },
  );
  const { stdout } = await leader.run(["events", "--last", "3", "-o", "json"]);
  expect((JSON.parse(stdout) as { items: { sequence: number }[] }).items.map(({ sequence }) => sequence)).toEqual([
    7, 8, 9,
  ]);
});

test("describe tells reasons with their cure and the last events", async () => {
  leader.items("default.pod.get", () => [
    podObject("web-1", "failed", { reason: "OOM_KILLED", message: "used 64 MiB" }),
  ]);
  leader.items("default.event.list", () => [
    feedEvent(5, { kind: "pod", name: "web-1", verb: "failed", namespace: "default" }),
  ]);
  const { code, stdout } = await leader.run(["describe", "pod/web-1"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Reason: +OOM_KILLED: used 64 MiB$/m);
  expect(stdout).toContain("  OOM_KILLED: Raise limits.memory, or make the program use less.\n");
  expect(stdout).toMatch(/Last events:\n.* ago {2}pod\/web-1 failed\n/);
});

test("a server that is not there is exit code 4 and says where the address came from", async () => {
  const { code, stderr } = await runCli(["get", "pods"], { env: { SWAIN_SERVER: "nats://127.0.0.1:1" } });
  expect(code).toBe(4);
  expect(stderr).toContain(
    "error: NATS_UNREACHABLE: no NATS server answers at nats://127.0.0.1:1 (from SWAIN_SERVER)\n",
  );
});

test("top shows the busiest first, with shares of the requests, and a dash where there is no figure", async () => {
  const pod = (name: string, use: object | undefined, cpuMillis: number): object => ({
    namespace: "shop",
    name,
    workload: "web",
    node: "n1",
    reserve: { cpuMillis, memoryBytes: 64 * 1024 * 1024 },
    ...(use === undefined ? {} : { use, ageMs: 10 }),
  });
  leader.on("_.pod.top", () => ({
    epoch: 1,
    sequence: 1,
    items: [
      pod("calm", { cpuMillis: 5, memoryBytes: 32 * 1024 * 1024 }, 100),
      pod("silent", undefined, 100),
      pod("busy", { cpuMillis: 250, memoryBytes: 64 * 1024 * 1024 }, 0),
    ],
  }));
  expect((await leader.run(["top", "pods", "-A"])).stdout).toBe(
    [
      "NAMESPACE   NAME     NODE   CPU    CPU%   MEMORY   MEMORY%",
      "shop        busy     n1     250m   -      64Mi     100%",
      "shop        calm     n1     5m     5%     32Mi     50%",
      "shop        silent   n1     -      -      -        -",
      "",
    ].join("\n"),
  );
  expect((await leader.run(["top", "services"])).code).toBe(2);
});

test("scale says what an autoscaler will make of it", async () => {
  const results = [{ kind: "Workload", namespace: "default", name: "web", action: "scaled", note: "it may change it" }];
  leader.on("default.workload.scale", () => ({ epoch: 1, sequence: 7, results }));
  const { stdout, stderr } = await leader.run(["scale", "workload/web", "--replicas", "3"]);
  expect({ stdout, stderr }).toEqual({ stdout: "workload default/web scaled to 3\n", stderr: "it may change it\n" });
});

test("autoscale makes what is not there, and changes only what is named in what is", async () => {
  const manifests: unknown[] = [];
  leader.on("_.manifest.apply", ({ documents }) => {
    manifests.push(...(documents as unknown[]));
    return accepted("configured", "Autoscaler");
  });
  leader.on("default.autoscaler.get", () => {
    throw new SwainError("NOT_FOUND", "There is no autoscaler web.");
  });
  const made = await leader.run([
    "autoscale",
    "workload/web",
    "--cpu",
    "70",
    "--mem",
    "80",
    "--min",
    "2",
    "--max",
    "10",
  ]);
  expect(made).toEqual({ code: 0, stdout: "autoscaler default/web configured\n", stderr: "" });
  const spec = { workload: "web", minReplicas: 2, maxReplicas: 10, cpu: 70, memory: 80 };
  expect(manifests).toEqual([
    { apiVersion: "swain/v1", kind: "Autoscaler", metadata: { name: "web", namespace: "default" }, spec },
  ]);
  expect((await leader.run(["autoscale", "workload/web", "--cpu", "70"])).code).toBe(2);
  leader.on("default.autoscaler.get", () => ({
    epoch: 1,
    sequence: 7,
    items: [{ metadata: { name: "web", namespace: "default", labels: { a: "b" } }, spec: { ...spec, cooldown: "5m" } }],
  }));
  expect((await leader.run(["autoscale", "workload/web", "--max", "20"])).code).toBe(0);
  const refused = await leader.run(["autoscale", "workload/other", "--max", "20"]);
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("autoscaler other is of workload web")]);
  expect(manifests[1]).toMatchObject({
    metadata: { labels: { a: "b" } },
    spec: { ...spec, maxReplicas: 20, cooldown: "5m" },
  });
});
