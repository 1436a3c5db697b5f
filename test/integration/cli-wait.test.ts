// `swain wait` and the progress of --wait: the built program against a real controller, on a terminal and off it.
import { afterAll, beforeAll, expect, test } from "vitest";
import { onTerminal } from "../support/pty.ts";
import { SimCluster } from "../support/sim-cluster.ts";

let cluster: SimCluster;
beforeAll(async () => {
  cluster = await SimCluster.start();
});
afterAll(() => cluster?.dispose());

test("each kind of object is waited for in its own way", async () => {
  await cluster.web("web", 2);
  const [pod = ""] = (await cluster.ok(["get", "pods", "-o", "name"])).split("\n");
  await cluster.ok(["wait", "workload/web"]);
  await cluster.ok(["wait", "workload", "web", "--for", "steady"]);
  await cluster.ok(["wait", "workload/web", "--for=count=2"]);
  await cluster.ok(["wait", "workload/web", "--for", "state=steady"]);
  await cluster.ok(["wait", pod, "--for", "state=ready"]);
  await cluster.ok(["wait", "node/node-1", "node/node-2", "--for", "ready"]);
  const run = await cluster.run(["wait", "workload/web", pod]);
  expect(run).toEqual({
    code: 0,
    stdout: "",
    stderr: `workload default/web: 2/2 ready\n${pod.replace("/", " default/")}: ready\n`,
  });
});

test("what is not reached in time is exit code 5 with what is missing", async () => {
  await cluster.web("slow", 1, { failPull: true }, false);
  const { code, stderr } = await cluster.run(["wait", "workload/slow", "--timeout", "400ms"]);
  expect(code).toBe(5);
  expect(stderr).toMatch(/^workload default\/slow: 0\/1 ready, progressing/m);
  expect(stderr).toMatch(/^pod\/slow-\d+: /m);
  expect(stderr).toContain("error: WAIT_TIMEOUT: ");
  const count = await cluster.run(["wait", "workload/web", "--for", "count=3", "--timeout", "300ms"]);
  expect([count.code, count.stderr]).toEqual([5, expect.stringContaining("2/2 ready")]);
});

test("a wait sees what happens later: a scaling, a deletion", async () => {
  const more = onTerminal(["wait", "workload/web", "--for", "count=4", ...cluster.options]);
  await expect.poll(more.shown, { timeout: 20_000 }).toContain("2/2 ready");
  await cluster.ok(["scale", "workload/web", "--replicas", "4"]);
  expect(await more.ended).toBe(0);
  const gone = onTerminal(["wait", "workload/slow", "--for", "deleted", ...cluster.options], { NO_COLOR: "1" });
  await expect.poll(gone.shown, { timeout: 20_000 }).toContain("workload default/slow: not being deleted");
  await cluster.ok(["delete", "workload/slow"]);
  expect(await gone.ended).toBe(0);
  // The line is drawn over on a terminal, then kept with a mark; colours only where they are wanted.
  expect(more.shown()).toContain(" workload default/web: 2/2 ready, steady · 0s");
  expect(more.shown()).toContain("\r\u001B[K\u001B[32m✓\u001B[39m workload default/web: 4/4 ready\r\n");
  expect(gone.shown()).toMatch(/✓ workload default\/slow: gone\r\n$/);
  expect(gone.shown()).not.toContain("\u001B[32m");
});

test("Ctrl-C on a terminal ends a wait with 130 and leaves a clean line", async () => {
  const wait = onTerminal(["wait", "workload/web", "--for", "count=9", ...cluster.options]);
  await expect.poll(wait.shown, { timeout: 20_000 }).toContain("4/4 ready");
  wait.type("\u0003");
  expect(await wait.ended).toBe(130);
  expect(wait.shown().endsWith("\r\u001B[K")).toBe(true);
});

test("a workload whose pods ended by themselves is not waited for: fewer of them than are wanted will be ready", async () => {
  const spec = { restartPolicy: "OnFailure", replicas: 2, containers: [{ name: "main", sim: { exitAfter: "1ms" } }] };
  const manifest = { apiVersion: "swain/v1", kind: "Workload", metadata: { name: "task" }, spec };
  await cluster.ok(["apply", "-f", "-", "--wait"], JSON.stringify(manifest));
  for (const what of ["ready", "count=1"]) {
    const { code, stderr } = await cluster.run(["wait", "workload/task", "--for", what, "--timeout", "20s"]);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(
        /COMPLETED: workload default\/task will not be ready: 2 of 2 pods ended by themselves \(task-/,
      ),
    ]);
  }
  await cluster.ok(["wait", "workload/task", "--for", "steady"]);
  const more = await cluster.run(["wait", "workload/task", "--for", "count=3", "--timeout", "300ms"]);
  expect(more.code).toBe(5);
});

test("what can never be, or is not there, is told at once", async () => {
  const refused = async (...args: string[]): Promise<[number, string]> => {
    const { code, stderr } = await cluster.run(["wait", ...args]);
    return [code, stderr.split("\n").find((line) => line.startsWith("error:")) ?? ""];
  };
  expect(await refused("workload/wbe")).toEqual([
    3,
    expect.stringContaining('NOT_FOUND: There is no workload wbe in namespace default. Did you mean "web"?'),
  ]);
  expect(await refused("workload/web", "-n", "shop")).toEqual([
    3,
    expect.stringContaining("There is one in namespace default: -n default."),
  ]);
  expect(await refused("workload/nothing-like-it", "--for", "deleted")).toEqual([0, ""]);
  expect(await refused("pod/web-1", "--for", "state=redy")).toEqual([
    2,
    expect.stringContaining("did you mean ready?"),
  ]);
  expect(await refused("pod/web-1", "--for", "count=1")).toEqual([2, expect.stringContaining("no pods")]);
  expect(await refused("workload/web", "--for", "steedy")).toEqual([
    2,
    expect.stringContaining("did you mean steady?"),
  ]);
  expect(await refused()).toEqual([2, expect.stringContaining("say what to wait for: KIND/NAME")]);
});
