// What every driver must keep, whatever runs the containers. A driver's test names its programs and its faults.
import { afterEach, describe, expect, it, vi } from "vitest";
import type { DriverIdentity } from "../../services/agent/runtime/driver.ts";
import {
  Stage,
  codeOf,
  ended,
  fetched,
  freePort,
  newCluster,
  nextSecond,
  occupied,
  patience,
  promise,
  readLines,
  readLogs,
  ready,
  run,
  runReady,
  specOf,
} from "./driver-support.ts";
import { execSuite } from "./driver-exec.ts";
import type { DriverCapabilities, DriverFixture } from "./driver-support.ts";

/** The suite of one driver: `makeDriver` gives drivers that share an engine or data folder. */
export function driverConformance(
  name: string,
  makeDriver: DriverFixture["makeDriver"],
  capabilities: DriverCapabilities,
): void {
  const fixture = { makeDriver, capabilities };
  const stage = new Stage(fixture);
  describe(`every promise of the driver port holds for ${name}`, () => {
    afterEach(() => stage.clear());
    lifeSuite(stage, fixture);
    endSuite(stage, fixture);
    errorSuite(stage, fixture);
    isolationSuite(stage, fixture);
    watchSuite(stage, fixture);
    outputSuite(stage, fixture);
    execSuite(stage, fixture);
  });
}

function lifeSuite(stage: Stage, { capabilities }: DriverFixture): void {
  const { programs, idleCode, realPorts, readyText, ownAddresses = true } = capabilities;
  it("a container is made, started, stopped, started again and removed, and every step may be repeated", async () => {
    const driver = stage.driver();
    const spec = specOf(programs.idle, { templateId: "t1" });
    const made = { pod: spec.pod, name: "main", templateId: "t1" };
    expect(await driver.list()).toEqual([]);
    const id = await driver.create(spec);
    expect(await driver.create(spec)).toBe(id);
    expect(await driver.inspect(id)).toMatchObject({ id, ...made, state: "created", ports: [] });
    expect(await driver.start(id)).toMatchObject({ id, state: "running", oomKilled: false });
    expect(await driver.start(id)).toMatchObject({ id, state: "running" });
    expect(await driver.create(spec)).toBe(id);
    expect(await driver.list()).toEqual([await driver.inspect(id)]);
    await ready(driver, id, readyText);
    await driver.stop(id, 5000);
    await driver.stop(id, 5000);
    expect(await driver.inspect(id)).toMatchObject({ state: "exited", exitCode: idleCode, ports: [] });
    expect(await driver.create(spec)).toBe(id);
    expect(await driver.start(id)).toMatchObject({ id, state: "running" });
    expect((await driver.inspect(id))?.exitCode).toBeUndefined();
    await driver.remove(id);
    await driver.remove(id);
    await driver.stop(id, 0);
    expect(await driver.inspect(id)).toBeNull();
    expect(await driver.list()).toEqual([]);
  });

  it("a declared port without a number of its own gets one, and it is told after each start", async () => {
    const driver = stage.driver();
    const ports = [{ name: "http", containerPort: 8080 }];
    const id = await driver.create(specOf({ ...programs.idle, ports }));
    for (let time = 0; time < 2; time += 1) {
      const info = await driver.start(id);
      expect(info.ports).toHaveLength(1);
      const own = ownAddresses ? { local: expect.any(String) as string } : {};
      expect(info.ports[0]).toMatchObject({ name: "http", containerPort: 8080, ...own });
      expect(info.ports[0]?.local !== undefined).toBe(ownAddresses);
      expect(info.ports[0]?.hostPort).toBeGreaterThan(1024);
      expect((await driver.inspect(id))?.ports).toEqual(info.ports);
      await driver.stop(id, 0);
    }
  });

  it("a fixed host port that is taken is refused with PORT_TAKEN, and works when it is free again", async () => {
    const driver = stage.driver();
    const hostPort = realPorts ? await freePort() : 4711;
    const holder = await run(driver, specOf({ ...programs.idle, ports: [{ name: "a", containerPort: 80, hostPort }] }));
    expect(holder.ports[0]?.hostPort).toBe(hostPort);
    // A process that was given a port need not listen on it: here the test does.
    const listener = realPorts ? await occupied(hostPort) : undefined;
    const other = await driver.create(
      specOf({ ...programs.idle, ports: [{ name: "b", containerPort: 80, hostPort }] }),
    );
    expect(await codeOf(driver.start(other))).toBe("PORT_TAKEN");
    expect((await driver.inspect(other))?.state).not.toBe("running");
    await driver.remove(holder.id);
    await listener?.();
    expect((await driver.start(other)).ports[0]?.hostPort).toBe(hostPort);
  });

  promise(realPorts)("one made for an address the machine has no more goes at its start, to be made anew", async () => {
    const driver = stage.driver();
    const spec = specOf({ ...programs.idle, ports: [{ name: "a", containerPort: 80 }] });
    const old = await driver.create({ ...spec, advertise: "192.0.2.7" });
    expect(await codeOf(driver.start(old))).toBe("ENGINE_ERROR");
    expect(await driver.inspect(old)).toBeNull();
    expect(await run(driver, spec)).toMatchObject({ state: "running", ports: [{ name: "a" }] });
  });

  const { serves } = programs;
  promise(serves)("a program answers at its published port and at its own address", async () => {
    const driver = stage.driver();
    const spec = specOf(serves ?? {});
    const { ports } = await run(driver, spec);
    const { hostPort, local = "", localPort = 0 } = ports[0] ?? { hostPort: 0 };
    expect(await fetched("127.0.0.1", hostPort)).toBe(spec.pod);
    if (ownAddresses) expect(await fetched(local, localPort)).toBe(spec.pod);
  });
}

function endSuite(stage: Stage, { capabilities }: DriverFixture): void {
  const { programs } = capabilities;
  it("the exit code is exact", async () => {
    const driver = stage.driver();
    const all = await Promise.all(
      [0, 7, 200].map(async (code) => {
        const { id } = await run(driver, specOf(programs.exits(code)));
        return (await ended(driver, id)).exitCode;
      }),
    );
    expect(all).toEqual([0, 7, 200]);
  });

  it("a container somebody else killed has ended with 137", async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(programs.idle));
    await capabilities.killOutside(driver, id);
    expect(await ended(driver, id)).toMatchObject({ state: "exited", exitCode: 137, oomKilled: false });
  });

  it("a program that does not end when asked is killed after the grace period, and not before", async () => {
    const driver = stage.driver();
    const { id } = await runReady(driver, specOf(programs.stubborn), capabilities.readyText);
    const begun = performance.now();
    await driver.stop(id, 1000);
    const took = performance.now() - begun;
    expect(await driver.inspect(id)).toMatchObject({ state: "exited", exitCode: 137 });
    expect(took).toBeGreaterThanOrEqual(990);
    expect(took).toBeLessThan(6000);
  });

  it("a running container is removed at once, grace or not", async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(programs.stubborn));
    await driver.remove(id);
    expect(await driver.list()).toEqual([]);
  });
}

function errorSuite(stage: Stage, { capabilities: { programs, engine } }: DriverFixture): void {
  it("a command that is not there is refused with COMMAND_NOT_FOUND", async () => {
    const driver = stage.driver();
    const id = await driver.create(specOf(programs.noCommand));
    expect(await codeOf(driver.start(id))).toBe("COMMAND_NOT_FOUND");
    expect((await driver.inspect(id))?.state).not.toBe("running");
  });

  const { noImage } = programs;
  promise(noImage)("an image that is nowhere is refused when it is used", async () => {
    const driver = stage.driver();
    expect(await codeOf(driver.create(specOf(noImage ?? {})))).toBe("IMAGE_NOT_FOUND");
  });

  it("starting a container that is not there is an error, and nothing else about it is", async () => {
    const driver = stage.driver();
    expect(await codeOf(driver.start("shop.web-0.main.00000000"))).toBe("ENGINE_ERROR");
    expect(await driver.inspect("shop.web-0.main.00000000")).toBeNull();
    expect(await driver.inspect("../..")).toBeNull();
    await driver.remove("shop.web-0.main.00000000");
    expect(await readLogs(driver, "shop.web-0.main.00000000", true)).toEqual({ stdout: "", stderr: "" });
  });

  promise(engine)("while the engine is away every call says so, and nothing has changed when it is back", async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(programs.idle));
    const before = await driver.list();
    await engine?.lose();
    try {
      for (const call of [
        driver.list(),
        driver.inspect(id),
        driver.stop(id, 0),
        driver.remove(id),
        driver.describe(),
      ]) {
        expect(await codeOf(call)).toBe("ENGINE_UNREACHABLE");
      }
      expect(await codeOf(driver.create(specOf(programs.idle)))).toBe("ENGINE_UNREACHABLE");
    } finally {
      await engine?.regain();
    }
    expect(await driver.list()).toEqual(before);
  });
}

function isolationSuite(stage: Stage, { makeDriver, capabilities: { programs, adopts } }: DriverFixture): void {
  it("nodes and clusters on one engine neither see nor touch each other's containers", async () => {
    const [one, two] = [newCluster(), newCluster()];
    const identities = [
      { clusterUid: one, node: "n1" },
      { clusterUid: one, node: "n2" },
      { clusterUid: two, node: "n1" },
    ];
    const drivers = identities.map((identity) => stage.driver(identity));
    const spec = specOf(programs.idle);
    const infos = await Promise.all(drivers.map((driver) => run(driver, spec)));
    expect(new Set(infos.map(({ id }) => id)).size).toBe(3);
    for (const [index, driver] of drivers.entries()) {
      expect((await driver.list()).map(({ id }) => id)).toEqual([infos[index]?.id]);
      const foreign = infos[(index + 1) % 3]?.id ?? "";
      expect(await driver.inspect(foreign)).toBeNull();
      await driver.stop(foreign, 0);
      await driver.remove(foreign);
      expect(await codeOf(driver.start(foreign))).toBe("ENGINE_ERROR");
      expect((await driver.usage([foreign])).size).toBe(0);
    }
    for (const [index, driver] of drivers.entries()) expect(await driver.list()).toEqual([infos[index]]);
  });

  it("nothing is ours before the cluster is known", async () => {
    const clusterUid = newCluster();
    const owner = stage.driver({ clusterUid, node: "n1" });
    const { id } = await run(owner, specOf(programs.idle));
    let known: DriverIdentity | null = null;
    const late = makeDriver(() => known);
    try {
      expect(await late.list()).toEqual([]);
      await late.remove(id);
      expect(await codeOf(late.create(specOf(programs.idle)))).toBe("INTERNAL");
      known = { clusterUid, node: "n1" };
      expect(await late.list()).toEqual([await owner.inspect(id)]);
    } finally {
      await late.close();
    }
  });

  promise(adopts)(
    "a new driver finds the containers of the one before it, their ports and their exit codes",
    async () => {
      const identity = { clusterUid: newCluster(), node: "n1" };
      const first = makeDriver(() => identity);
      const second = stage.driver(identity);
      const ports = [{ name: "http", containerPort: 80 }];
      const kept = await run(first, specOf({ ...programs.idle, ports }));
      const ending = await run(first, specOf(programs.exits(3)));
      await first.close();
      expect(await second.inspect(kept.id)).toEqual(kept);
      expect(await ended(second, ending.id)).toMatchObject({ exitCode: 3 });
      const changes: string[] = [];
      const cancel = second.watch({ onChange: (id) => changes.push(id), onResync: () => changes.push("resync") });
      await expect.poll(() => changes, patience).toEqual(["resync"]);
      await second.stop(kept.id, 0);
      await expect.poll(() => changes, patience).toContain(kept.id);
      expect(await second.start(kept.id)).toMatchObject({ id: kept.id, state: "running" });
      cancel();
    },
  );
}

function watchSuite(stage: Stage, { capabilities: { programs, engine } }: DriverFixture): void {
  it("starts, ends and removals are told with the pod's name, of our containers alone, until cancelled", async () => {
    const clusterUid = newCluster();
    const driver = stage.driver({ clusterUid, node: "n1" });
    const other = stage.driver({ clusterUid, node: "n2" });
    const changes: string[] = [];
    let resyncs = 0;
    const cancel = driver.watch({
      onChange: (id, pod) => changes.push(`${id} ${pod}`),
      onResync: () => (resyncs += 1),
    });
    await expect.poll(() => resyncs, patience).toBe(1);
    const spec = specOf(programs.exits(1));
    const id = await driver.create(spec);
    const told = async (): Promise<void> => {
      await expect.poll(() => changes, patience).toContain(`${id} ${spec.pod}`);
    };
    await run(other, specOf(programs.exits(0)));
    await driver.start(id);
    await told();
    await ended(driver, id);
    await expect.poll(() => changes.length, patience).toBeGreaterThanOrEqual(2);
    changes.length = 0;
    await driver.remove(id);
    await told();
    expect(changes.filter((change) => change !== `${id} ${spec.pod}`)).toEqual([]);
    cancel();
    changes.length = 0;
    const last = await run(driver, specOf(programs.exits(0)));
    await ended(driver, last.id);
    expect(changes).toEqual([]);
  });

  promise(engine)("when the engine was away and is back, everything is to be listed again", async () => {
    const driver = stage.driver();
    const changes: string[] = [];
    let resyncs = 0;
    const cancel = driver.watch({ onChange: (id) => changes.push(id), onResync: () => (resyncs += 1) });
    await expect.poll(() => resyncs, patience).toBe(1);
    await engine?.lose();
    await engine?.regain();
    await expect.poll(() => resyncs, patience).toBe(2);
    const { id } = await run(driver, specOf(programs.exits(0)));
    await expect.poll(() => changes, patience).toContain(id);
    cancel();
  });
}

function outputSuite(stage: Stage, { capabilities: { programs, wholeSeconds, tellsUse = true } }: DriverFixture): void {
  it("output is read whole, by its last lines, and followed until the end", async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(programs.prints ?? programs.exits(0)));
    const followed = await readLogs(driver, id, true);
    await ended(driver, id);
    const whole = await readLogs(driver, id, false);
    expect(followed).toEqual(whole);
    expect(whole.stdout.split("\n").length).toBeGreaterThan(2);
    const [beforeLast = "", last = ""] = whole.stdout.trimEnd().split("\n").slice(-2);
    const tail = (await readLogs(driver, id, false, 2)).stdout;
    expect(tail.endsWith(`${last}\n`)).toBe(true);
    expect(tail).not.toContain("line 1");
    expect((await readLogs(driver, id, false, 0)).stdout).toBe("");
    expect(whole.stdout).toContain(beforeLast);
    if (!programs.prints) return;
    expect(whole).toEqual({ stdout: "line 1\nline 2\nline 3\n", stderr: "problem\n" });
  });

  it("each line has the time it was written, and only what is new enough is read", async () => {
    const driver = stage.driver();
    const before = Date.now();
    const { id } = await run(driver, specOf(programs.prints ?? programs.exits(0)));
    await ended(driver, id);
    const lines = await readLines(driver, id);
    const times = lines.map(({ time }) => time);
    // Engines and file systems round a little.
    const slack = wholeSeconds === true ? 1000 : 50;
    expect(Math.min(...times)).toBeGreaterThan(before - slack);
    expect(Math.max(...times)).toBeLessThanOrEqual(Date.now());
    expect(await readLines(driver, id, { since: before - slack })).toEqual(lines);
    expect(await readLines(driver, id, { since: Date.now() + 1000 })).toEqual([]);
    await nextSecond(wholeSeconds);
    const again = Date.now();
    await driver.start(id);
    await ended(driver, id);
    const newest = (await readLines(driver, id, { since: again })).map(({ text }) => text);
    expect(newest.length).toBeGreaterThan(0);
    expect(newest.length).toBeLessThan((await readLines(driver, id)).length);
  });

  it("the run before the newest one is read by itself", async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(programs.counts ?? programs.exits(0)));
    await ended(driver, id);
    expect(await codeOf(readLines(driver, id, { previous: true }))).toBe("NO_PREVIOUS_RUN");
    const first = await readLines(driver, id);
    await nextSecond(wholeSeconds);
    await driver.start(id);
    await ended(driver, id);
    expect(await readLines(driver, id, { previous: true })).toEqual(first);
    const second = (await readLines(driver, id)).slice(first.length);
    await nextSecond(wholeSeconds);
    await driver.start(id);
    await ended(driver, id);
    expect(await readLines(driver, id, { previous: true })).toEqual(second);
    expect(await readLines(driver, id, { previous: true, tail: 1 })).toEqual(second.slice(-1));
    expect(await readLines(driver, id, { previous: true, since: Date.now() + 1000 })).toEqual([]);
    if (!programs.counts) return;
    expect(second.map(({ text }) => text)).toEqual(["..\n", "run ends\n"]);
  });

  it("following ends when the reader gives up", async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(programs.idle));
    const stop = new AbortController();
    const reading = driver.logs(id, { follow: true, signal: stop.signal }, async () => {});
    stop.abort();
    await reading;
  });

  it("use is told of running containers and of no other", async () => {
    const driver = stage.driver();
    const running = await run(driver, specOf(programs.burns ?? programs.idle));
    const stopped = await driver.create(specOf(programs.idle));
    await driver.usage([running.id]);
    // It burns what it gets, which may be little for a moment.
    await vi.waitFor(
      async () => {
        const usage = await driver.usage([running.id, stopped]);
        // No figure at all: a zero would pass for an idle container.
        expect([...usage.keys()]).toEqual(tellsUse ? [running.id] : []);
        if (!tellsUse) return;
        expect(usage.get(running.id)?.memoryBytes).toBeGreaterThan(0);
        expect(usage.get(running.id)?.cpuMillis).toBeGreaterThanOrEqual(programs.burns ? 100 : 0);
        expect(usage.get(running.id)?.cpuMillis).toBeLessThan(1500);
      },
      { timeout: 10_000, interval: 300 },
    );
  });
}
