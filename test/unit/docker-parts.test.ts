import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, describe, expect, it } from "vitest";
import { adoptRecord, freshRecord, keptOf } from "../../services/agent/pod/record.ts";
import { nextStep } from "../../services/agent/pod/step.ts";
import { engineName } from "../../services/agent/runtime/docker/engine.ts";
import { containerInfo } from "../../services/agent/runtime/docker/inspect.ts";
import type { Inspected } from "../../services/agent/runtime/docker/inspect.ts";
import { containerName, volumeName } from "../../services/agent/runtime/docker/labels.ts";
import { takeApart } from "../../services/agent/runtime/docker/logs.ts";
import { FreshEnds } from "../../services/agent/runtime/docker/oom.ts";
import { createOptions } from "../../services/agent/runtime/docker/options.ts";
import { enginePlaces, locateEngine } from "../../services/agent/runtime/docker/places.ts";
import { PullProgress } from "../../services/agent/runtime/docker/progress.ts";
import type { ContainerInfo, ContainerSpec } from "../../services/agent/runtime/driver.ts";
import { silent } from "../../services/kernel/log.ts";
import type { LogFields } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { podNamed } from "../support/agent.ts";

const identity = { clusterUid: "0123456789abcdef", node: "n1" };
const spec = (over: Partial<ContainerSpec> = {}): ContainerSpec => ({
  pod: "shop/web-1",
  container: { name: "main", image: "busybox:stable" },
  env: {},
  advertise: "10.0.0.1",
  labels: {},
  ...over,
});

describe("where the engine is", () => {
  const addresses = (given: string | undefined, env: Record<string, string>, uid?: number): string[] =>
    enginePlaces(given, env, uid).map(({ address }) => address);

  it("what is asked for is the only place", () => {
    const env = { DOCKER_HOST: "tcp://10.0.0.9:2375" };
    expect(addresses("/run/other.sock", env)).toEqual(["unix:///run/other.sock"]);
    expect(addresses("unix:///run/other.sock", env)).toEqual(["unix:///run/other.sock"]);
  });

  it("else what variables name, else the usual sockets, Podman's before Docker's, each place once", () => {
    const sockets = ["unix:///run/user/7/podman/podman.sock", "unix:///run/podman/podman.sock"];
    const named = { DOCKER_HOST: "tcp://10.0.0.9:2375", CONTAINER_HOST: "unix:///run/podman/podman.sock" };
    expect(addresses(undefined, named, 7)).toEqual(Object.values(named));
    const env = { DOCKER_HOST: "", XDG_RUNTIME_DIR: "/run/user/7" };
    expect(addresses(undefined, env, 7)).toEqual([...sockets, "unix:///var/run/docker.sock"]);
  });

  it("engines are called by their name", () => {
    expect(engineName({ Version: "20.10.24", Components: [{ Name: "Engine" }] })).toBe("Docker Engine 20.10.24");
    expect(engineName({ Version: "4.3.1", Components: [{ Name: "Podman Engine" }] })).toBe("Podman 4.3.1");
    expect(engineName({ Version: "1" })).toBe("Docker Engine 1");
  });
});

describe("the place that is kept", () => {
  const folder = mkdtempSync(join(tmpdir(), "swain-places-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("is written when it changes, and used by a start that is told none", async () => {
    const file = join(folder, "data", "engine");
    expect(await locateEngine("/run/one.sock", file, silent)()).toBe("unix:///run/one.sock");
    expect(await locateEngine("/run/two.sock", file, silent)()).toBe("unix:///run/two.sock");
    expect(readFileSync(file, "utf8")).toBe("unix:///run/two.sock\n");
    utimesSync(file, 1, 1);
    expect(await locateEngine("/run/two.sock", file, silent)()).toBe("unix:///run/two.sock");
    expect(await locateEngine(undefined, file, silent)()).toBe("unix:///run/two.sock");
    expect(statSync(file).mtimeMs).toBe(1000);
  });

  it("may fail to be written: that is said, and the engine used", async () => {
    // Nothing can be made below a file.
    const file = join(folder, "file");
    writeFileSync(file, "");
    const said: (LogFields | undefined)[] = [];
    const log = { ...silent, warn: (_: string, fields?: LogFields) => void said.push(fields) };
    expect(await locateEngine("/run/one.sock", join(file, "engine"), log)()).toBe("unix:///run/one.sock");
    expect(said).toMatchObject([{ code: "DISK_ERROR" }]);
  });
});

describe("what the engine is asked to make", () => {
  it("names carry cluster, node, namespace, pod and container; volumes cluster and namespace", () => {
    expect(containerName(spec(), identity)).toBe("swain-01234567-n1-shop-web-1-main");
    expect(volumeName(spec(), identity, "data")).toBe("swain-01234567.shop.data");
  });

  it("the first container publishes the ports of the whole pod, one that joins publishes none", () => {
    const podPorts = [
      { name: "a", containerPort: 80 },
      { name: "b", containerPort: 81, hostPort: 8081 },
      { name: "c", containerPort: 80, hostPort: 8080 },
      { name: "d" },
    ];
    const first = createOptions(spec({ podPorts }), identity, 2);
    expect(first.HostConfig?.PortBindings).toEqual({
      "80/tcp": [{ HostIp: "10.0.0.1", HostPort: "8080" }],
      "81/tcp": [{ HostIp: "10.0.0.1", HostPort: "8081" }],
    });
    const joined = createOptions(spec({ podPorts, joinNetworkOf: "abc" }), identity, 2);
    expect(joined.HostConfig).toMatchObject({ PortBindings: {}, NetworkMode: "container:abc" });
  });

  it("the same container has the same hash, another one another", () => {
    const hash = (over: Partial<ContainerSpec>): string | undefined =>
      createOptions(spec(over), identity, 2).Labels?.["swain.spec"];
    expect(hash({})).toBe(hash({}));
    expect(hash({ joinNetworkOf: "a" })).not.toBe(hash({ joinNetworkOf: "b" }));
    const podPorts = [{ name: "a", containerPort: 80 }];
    expect(hash({ podPorts, advertise: "10.0.0.2" })).not.toBe(hash({ podPorts }));
  });
});

const inspected = (state: Partial<Inspected["State"]>, over: object = {}): Inspected =>
  ({
    Id: "abc",
    State: { Status: "running", ExitCode: 0, OOMKilled: false, ...state },
    Config: {
      Labels: {
        "swain.pod": "shop/web-1",
        "swain.container": "main",
        "swain.ports": '[{"name":"a","containerPort":80}]',
      },
    },
    HostConfig: { Memory: 1, NetworkMode: "default" },
    NetworkSettings: {
      Networks: { bridge: { IPAddress: "" } },
      Ports: { "80/tcp": [{ HostIp: "::", HostPort: "32768" }] },
    },
    ...over,
  }) as unknown as Inspected;

describe("what the engine tells", () => {
  it.each([
    ["created", "created"],
    ["running", "running"],
    ["paused", "running"],
    ["exited", "exited"],
    ["dead", "exited"],
  ])("%s counts as %s", (status, state) => {
    const found = inspected({ Status: status });
    expect(containerInfo(found, found).state).toBe(state);
  });

  it("that ended with 0 before its machine was started has an end that nobody saw", () => {
    const ended = (ExitCode: number): Inspected =>
      inspected({ Status: "exited", ExitCode, FinishedAt: "2026-01-05T10:00:00.5Z" });
    const at = Date.UTC(2026, 0, 5, 10);
    const exitCode = (code: number, from: number, until: number): number | null | undefined =>
      containerInfo(ended(code), null, true, [{ from, until }]).exitCode;
    expect(exitCode(0, -Infinity, at + 600)).toBeNull();
    expect(exitCode(0, -Infinity, at + 400)).toBe(0);
    expect(exitCode(3, -Infinity, at + 600)).toBe(3);
    // So has one that ended while the engine was away.
    expect(exitCode(0, at + 400, Infinity)).toBeNull();
    expect(exitCode(0, at + 600, Infinity)).toBe(0);
  });

  it("that ran as its machine was cut off ended in a way that nobody saw, and never runs twice for that", () => {
    const never = "0001-01-01T00:00:00Z";
    const ran = "2026-01-05T10:00:00.5Z";
    const info = (state: Partial<Inspected["State"]>): ContainerInfo =>
      containerInfo(inspected(state), null, true, [{ from: -Infinity, until: Date.UTC(2026, 0, 6) }]);
    const made = info({ Status: "created", StartedAt: never, FinishedAt: never });
    expect(made.state).toBe("created");
    const cutOff = [
      // Podman before 5.0.
      info({ Status: "created", StartedAt: ran, FinishedAt: never }),
      // Since then, in its first run and in a later one.
      info({ Status: "exited", ExitCode: 0, StartedAt: ran, FinishedAt: never }),
      info({ Status: "exited", ExitCode: 0, StartedAt: ran, FinishedAt: "2026-01-05T09:00:00Z" }),
    ];
    const job = podNamed("job-1", { restartPolicy: "Never" });
    const next = (one: ContainerInfo, started: string[]) => {
      const containers = [{ ...one, name: "web" }];
      const record = adoptRecord({ ...keptOf(freshRecord), started }, containers, 0, () => 0);
      return nextStep({ pod: job, containers, record, fence: null, now: 0 });
    };
    for (const one of cutOff) {
      expect(one).toMatchObject({ state: "exited", exitCode: null });
      const { record, step } = next(one, ["web"]);
      expect(step).toMatchObject({ do: "wait" });
      expect(record).toMatchObject({ finished: "failed", ended: { code: "EXIT_UNOBSERVED" } });
    }
    expect(next(made, []).step).toMatchObject({ do: "start" });
    // A clock that was set back while it ran says nothing about its end.
    const later = { StartedAt: "2026-01-07T10:00:00Z", FinishedAt: "2026-01-07T09:00:00Z" };
    expect(info({ Status: "exited", ExitCode: 0, ...later }).exitCode).toBe(0);
  });

  it("without an address of its own a container is reached by its host port alone", () => {
    const found = inspected({});
    expect(containerInfo(found, found).ports).toEqual([{ name: "a", containerPort: 80, hostPort: 32768 }]);
    expect(containerInfo(found, null).ports).toEqual([]);
  });

  it("a port is where it was published, which may be every address of the host", () => {
    const published = (HostIp: string): unknown => {
      const bridge = { bridge: { IPAddress: "" } };
      const found = inspected(
        {},
        { NetworkSettings: { Networks: bridge, Ports: { "80/tcp": [{ HostIp, HostPort: "1" }] } } },
      );
      return containerInfo(found, found).ports;
    };
    const port = { name: "a", containerPort: 80, hostPort: 1 };
    for (const every of ["", "0.0.0.0", "::"]) expect(published(every)).toEqual([port]);
    for (const host of ["10.0.0.1", "fd00::1"]) expect(published(host)).toEqual([{ ...port, host }]);
  });

  it("a kill that may still turn out to be for want of memory is looked at again, an old one is not", async () => {
    const answers = [false, false, true].map((OOMKilled) => inspected({ Status: "exited", ExitCode: 137, OOMKilled }));
    const fresh = new FreshEnds(systemClock);
    let asked = 0;
    const inspect = async (): Promise<Inspected | null> => answers[Math.min(asked++, 2)] ?? null;
    expect((await fresh.settle("abc", inspect))?.State.OOMKilled).toBe(false);
    expect(asked).toBe(1);
    asked = 0;
    fresh.take("die", "abc");
    expect((await fresh.settle("abc", inspect))?.State.OOMKilled).toBe(true);
    expect(asked).toBe(3);
    fresh.take("start", "abc");
    asked = 0;
    await fresh.settle("abc", inspect);
    expect(asked).toBe(1);
  });
});

describe("output", () => {
  it("comes apart whole, however many frames arrive at once and wherever they are cut", async () => {
    const frame = (stream: number, text: string): Buffer => {
      const data = Buffer.from(text);
      const head = Buffer.alloc(8);
      head.writeUInt8(stream, 0);
      head.writeUInt32BE(data.length, 4);
      return Buffer.concat([head, data]);
    };
    const lone = Buffer.from("ä");
    const halves = [lone.subarray(0, 1), lone.subarray(1)].map((half) =>
      Buffer.concat([frame(2, "x").subarray(0, 8), half]),
    );
    const bytes = Buffer.concat([
      ...Array.from({ length: 20_000 }, () => frame(1, "a")),
      ...halves,
      frame(1, "b".repeat(40_000)),
    ]);
    for (const size of [bytes.length, 5]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.subarray(at * size, (at + 1) * size),
      );
      const text = { stdout: "", stderr: "" };
      const collect = async (stream: "stdout" | "stderr", chunk: string): Promise<void> => {
        text[stream] += chunk;
      };
      await takeApart(Readable.from(chunks), collect, new AbortController().signal);
      expect(text).toEqual({ stdout: `${"a".repeat(20_000)}${"b".repeat(40_000)}`, stderr: "ä" });
    }
  });
});

describe("pull progress", () => {
  it("adds up layers and bytes", () => {
    const progress = new PullProgress("web:1");
    expect(progress.text()).toBe("pulling web:1");
    progress.take({ status: "Pulling from web", id: "1" });
    progress.take({ id: "a", status: "Downloading", progressDetail: { current: 1e6, total: 4e6 } });
    progress.take({ id: "b", status: "Already exists", progressDetail: {} });
    expect(progress.text()).toBe("pulling web:1: 1 of 2 layers, 1.0 of 4.0 MB");
    progress.take({ id: "a", status: "Extracting", progressDetail: { current: 1, total: 4e6 } });
    progress.take({ id: "a", status: "Pull complete", progressDetail: {} });
    expect(progress.text()).toBe("pulling web:1: 2 of 2 layers, 4.0 of 4.0 MB");
    expect(progress.failure()).toBeNull();
  });

  it("keeps the error of the stream with its code", () => {
    const progress = new PullProgress("web:1");
    progress.take({ error: "no", errorDetail: { code: 401, message: "no, really" } });
    expect(progress.failure()).toEqual({ code: 401, message: "no, really" });
  });
});
