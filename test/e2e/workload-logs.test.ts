// `swain logs workload/NAME` of real processes on two nodes: merged, in order, followed through scaling, restarts, Ctrl-C.
import { afterAll, beforeAll, expect, test } from "vitest";
import { Cluster } from "../support/cluster.ts";
import { describeServers } from "../support/nats.ts";
import { onTerminal } from "../support/pty.ts";

/** Prints a numbered line each 40 ms; with MOST to both streams in turn, and ends with 3 when it has printed so many. */
const program = `let n = 0;
const most = Number(process.env.MOST ?? "0");
setInterval(() => {
  n += 1;
  (most > 0 && n % 5 === 0 ? process.stderr : process.stdout).write("tick " + Date.now() + " " + n + "\\n");
  if (n === most) process.exitCode = 3, process.exit();
}, 40);`;

const workload = (name: string, replicas: number, env: object[] = []): object => ({
  apiVersion: "swain/v1",
  kind: "Workload",
  metadata: { name },
  spec: { replicas, containers: [{ name: "main", env, process: { command: [process.execPath, "-e", program] } }] },
});

interface Tick {
  readonly pod: string;
  readonly time: number;
  readonly count: number;
}
const ticks = (text: string): Tick[] =>
  [...text.matchAll(/^(\S+) +\| tick (\d+) (\d+)\r?$/gm)].map(([, pod = "", time, count]) => ({
    pod,
    time: Number(time),
    count: Number(count),
  }));

describeServers("swain logs of a workload", (natsServer) => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.up({ natsServer, runtime: "process", nodes: 2 });
  });
  afterAll(() => cluster?.dispose());

  test("the output of all pods comes as one, in the order of time", async () => {
    expect((await cluster.apply([workload("web", 3)], "--wait")).code).toBe(0);
    const { code, stdout, stderr } = await cluster.run("logs", "workload/web", "--tail", "20", "--timestamps");
    expect(code, stderr).toBe(0);
    const stamped = [...stdout.matchAll(/^(\S+) +\| (\S+Z) tick \d+ \d+$/gm)].map(([, pod, time]) => ({ pod, time }));
    const lines = stamped.map(({ pod }) => pod);
    expect(new Set(lines).size).toBe(3);
    const times = stamped.map(({ time = "" }) => time);
    expect(times).toEqual(times.toSorted());
    expect(times.length).toBeGreaterThan(10);
    expect(stdout + stderr).not.toContain("\u001B");
    const bare = await cluster.run("logs", "workload/web", "--tail", "2", "--no-prefix");
    expect(bare.stdout).toMatch(/^(tick \d+ \d+\n)+$/);
  });

  test("followed on a terminal, pods keep their colour, new ones join and old ones leave", async () => {
    const follow = onTerminal(["logs", "workload/web", "-f", "--tail", "1", "--data", cluster.data]);
    await expect.poll(() => ticksInColour(follow.shown()).size, { timeout: 20_000 }).toBe(3);
    await cluster.ok("scale", "workload/web", "--replicas", "4", "--wait");
    await expect.poll(() => ticksInColour(follow.shown()).size, { timeout: 20_000 }).toBe(4);
    expect(follow.shown()).toMatch(/^\+ web-\d+ on node-\d\r$/m);
    await cluster.ok("scale", "workload/web", "--replicas", "1", "--wait");
    await expect.poll(() => follow.shown().match(/^- web-\d+\r$/gm)?.length, { timeout: 20_000 }).toBe(3);
    follow.type("\u0003");
    expect(await follow.ended).toBe(0);
    for (const colours of ticksInColour(follow.shown()).values()) expect(colours.size).toBe(1);
  });

  /** The colours each pod's lines were shown in. */
  function ticksInColour(text: string): Map<string, Set<string>> {
    const seen = new Map<string, Set<string>>();
    for (const line of text.split("\n")) {
      const [colour = "", rest = ""] = line.split("\u001B[").slice(1).join("").split("m", 2);
      const pod = /^(web-\d+) +\|/.exec(rest)?.[1];
      if (pod !== undefined && line.includes("tick")) seen.set(pod, (seen.get(pod) ?? new Set()).add(colour));
    }
    return seen;
  }

  test("a pod that ends and starts again is followed on, each line once", async () => {
    expect((await cluster.apply([workload("once", 1, [{ name: "MOST", value: "12" }])])).code).toBe(0);
    const follow = onTerminal(["logs", "workload/once", "-f", "--data", cluster.data], { NO_COLOR: "1" });
    await expect
      .poll(() => ticks(follow.shown()).filter(({ count }) => count === 12).length, { timeout: 30_000 })
      .toBeGreaterThan(1);
    follow.type("\u0003");
    expect(await follow.ended).toBe(0);
    const lines = ticks(follow.shown());
    expect(new Set(lines.map(({ time }) => time)).size).toBe(lines.length);
    const previous = await cluster.run("logs", "workload/once", "--previous");
    const counts = [...ticks(previous.stdout), ...ticks(previous.stderr)].map(({ count }) => count);
    expect(counts.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
    await cluster.ok("delete", "workload/once", "--wait");
  });

  test("what is not there is told", async () => {
    const { code, stderr } = await cluster.run("logs", "workload/wbe");
    expect([code, stderr]).toEqual([3, expect.stringContaining('Did you mean "web"?')]);
    expect((await cluster.run("logs", "node/node-1")).code).toBe(2);
  });
});
