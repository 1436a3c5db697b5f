import { describe, expect, it } from "vitest";
import type { AssignedPod, Container } from "../../schemas/generated/types.ts";
import { firstProbes, foldProbe, targetsOf } from "../../services/agent/pod/readiness.ts";
import { adoptRecord, freshRecord } from "../../services/agent/pod/record.ts";
import type { PodRecord, Probe } from "../../services/agent/pod/record.ts";
import { podReport } from "../../services/agent/pod/report.ts";
import { restartDelayMs } from "../../services/agent/pod/restart.ts";
import { nextStep } from "../../services/agent/pod/step.ts";
import type { ContainerInfo } from "../../services/agent/runtime/driver.ts";
import { containerOf, httpPort, podNamed } from "../support/agent.ts";

const fine = { ok: true, reached: true, why: "" };
const silent = { ok: false, reached: false, why: "port http does not accept connections" };
const sick = { ok: false, reached: true, why: "GET /health on port http answered 503" };

const look = (pod: AssignedPod, containers: ContainerInfo[], record: PodRecord, now = 0) =>
  nextStep({ pod, containers, record, fence: null, now });

/** A pod whose containers all run since `now`. */
const upRecord = (pod: AssignedPod, now = 0): PodRecord => {
  const containers = pod.containers.map(({ name }) => containerOf(pod, name));
  const started = { ...freshRecord, started: pod.containers.map(({ name }) => name) };
  return look(pod, containers, started, now).record;
};

const report = (pod: AssignedPod, containers: ContainerInfo[], record: PodRecord, now = 0) =>
  podReport({ pod, containers, record, advertise: "10.0.0.1", now, outage: null, last: null });

const ports = [{ name: "http", containerPort: 80, hostPort: 30_000, local: "172.17.0.2", localPort: 80 }];

const probeOf = (record: PodRecord, name = "web"): Probe => {
  const probe = record.probes[name];
  if (probe === undefined) throw new Error(`${name} is not probed`);
  return probe;
};

describe("readiness by declared ports", () => {
  const web: Container = { name: "web", sim: {}, ports: httpPort };
  const pod = podNamed("web-1", { containers: [web] });
  const running = containerOf(pod, "web", { ports });
  const fold = (record: PodRecord, outcome: typeof fine, now: number) => foldProbe(record, web, outcome, true, now);

  it("is probed 20 ms, 40 ms … after a miss, at most every 500 ms, until it is reached", () => {
    let record = upRecord(pod);
    const gaps: number[] = [];
    let now = 0;
    for (let time = 0; time < 8; time += 1) {
      expect(look(pod, [running], record, now).step).toMatchObject({ probe: ["web"] });
      record = fold(record, silent, now);
      gaps.push((probeOf(record).nextAt ?? 0) - now);
      now = probeOf(record).nextAt ?? 0;
    }
    expect(gaps).toEqual([20, 40, 80, 160, 320, 500, 500, 500]);
    record = fold(record, fine, now);
    expect(look(pod, [running], record, now).step).toEqual({ do: "wait", until: now + 5000, probe: [] });
    expect(report(pod, [running], record)).toMatchObject({
      state: "ready",
      observed: { reason: "", addresses: [{ ...ports[0], host: "10.0.0.1" }] },
    });
  });

  it("is lost after three misses in a row and says NOT_READY", () => {
    let record = fold(upRecord(pod), fine, 0);
    record = fold(fold(record, silent, 5000), silent, 10_000);
    expect(report(pod, [running], record, 10_000)).toMatchObject({ state: "ready" });
    record = fold(record, silent, 15_000);
    expect(report(pod, [running], record, 15_000)).toMatchObject({
      state: "running",
      observed: {
        reason: "NOT_READY",
        message: "Container web is not ready: port http does not accept connections.",
      },
    });
  });

  it("is not looked at again where the driver tells of every change", () => {
    const record = foldProbe(upRecord(pod), web, fine, false, 0);
    expect(look(pod, [running], record, 0).step).toEqual({ do: "wait", until: null, probe: [] });
  });

  it("comes at once for a pod without ports", () => {
    const plain = podNamed("web-1");
    expect(report(plain, [containerOf(plain, "web")], upRecord(plain))).toMatchObject({ state: "ready" });
  });

  it("is not denied to an adopted pod before its first probe answered", () => {
    const record = adoptRecord(null, [running], 0, restartDelayMs);
    const { record: seen } = look(pod, [running], record);
    expect(report(pod, [running], seen)).toBeNull();
    expect(report(pod, [running], fold(seen, fine, 0))).toMatchObject({ state: "ready" });
  });

  it("is denied to an adopted pod only by as many misses as to one that was ready", () => {
    const { record: seen } = look(pod, [running], adoptRecord(null, [running], 0, restartDelayMs));
    const once = fold(seen, silent, 1000);
    expect(report(pod, [running], once, 1000)).toBeNull();
    expect(report(pod, [running], fold(once, fine, 1020), 1020)).toMatchObject({ state: "ready" });
    const often = fold(fold(once, silent, 1020), silent, 1060);
    expect(report(pod, [running], often, 1060)).toBeNull();
    expect(report(pod, [running], often, 9999)).toBeNull();
    const denied = { state: "running", observed: { reason: "NOT_READY" } };
    expect(report(pod, [running], often, 10_000)).toMatchObject(denied);
    expect(report(pod, [running], fold(often, silent, 10_100), 10_100)).toMatchObject(denied);
    expect(report(pod, [running], fold(often, fine, 10_100), 10_100)).toMatchObject({ state: "ready" });
  });

  it("is told of an adopted pod as of any other once something was said of it", () => {
    const { record: seen } = look(pod, [running], adoptRecord(null, [running], 0, restartDelayMs));
    let record = fold(seen, fine, 0);
    const last = report(pod, [running], record);
    for (const now of [5000, 10_000, 15_000]) record = fold(record, silent, now);
    const now = 15_000;
    const said = podReport({ pod, containers: [running], record, advertise: "10.0.0.1", now, outage: null, last });
    expect(said).toMatchObject({ state: "running" });
  });
});

describe("readiness by a check", () => {
  const web: Container = {
    name: "web",
    sim: {},
    ports: httpPort,
    readiness: {
      http: { port: "http", path: "/health" },
      initialDelay: "3s",
      interval: "1s",
      successes: 2,
      failures: 2,
    },
  };
  const pod = podNamed("web-1", { containers: [web] });
  const running = containerOf(pod, "web", { ports });
  const fold = (record: PodRecord, outcome: typeof fine, now: number) => foldProbe(record, web, outcome, true, now);

  it("begins after the initial delay, which the pod does not hide", () => {
    const record = upRecord(pod, 500);
    expect(look(pod, [running], record, 500).step).toEqual({ do: "wait", until: 3500, probe: [] });
    expect(report(pod, [running], record, 500)).toMatchObject({ state: "running", observed: { reason: "" } });
    expect(report(pod, [running], record, 2000)?.observed.message).toBe(
      "Container web is not ready: its first check is still to come.",
    );
    expect(look(pod, [running], record, 3500).step).toMatchObject({ probe: ["web"] });
  });

  it("needs its successes in a row, an interval apart", () => {
    let record = fold(upRecord(pod), fine, 3000);
    expect(report(pod, [running], record, 3000)).toMatchObject({ state: "running" });
    expect(probeOf(record).nextAt).toBe(4000);
    record = fold(record, sick, 4000);
    record = fold(record, fine, 5000);
    expect(report(pod, [running], record, 5000)?.observed.message).toContain("1 of 2 checks in a row succeeded");
    record = fold(record, fine, 6000);
    expect(report(pod, [running], record, 6000)).toMatchObject({ state: "ready" });
  });

  it("is lost after its failures in a row, with the answer as the reason, and comes back", () => {
    let record = fold(fold(upRecord(pod), fine, 3000), fine, 4000);
    record = fold(fold(fold(record, sick, 5000), fine, 6000), sick, 7000);
    expect(report(pod, [running], record, 7000)).toMatchObject({ state: "ready" });
    record = fold(record, sick, 8000);
    expect(report(pod, [running], record, 8000)).toMatchObject({
      state: "running",
      observed: { reason: "NOT_READY", message: expect.stringContaining("GET /health on port http answered 503") },
    });
    record = fold(fold(record, fine, 9000), fine, 10_000);
    expect(report(pod, [running], record, 10_000)).toMatchObject({ state: "ready" });
  });

  it("is looked for quickly while nothing listens, and asked in its own rhythm once it answers", () => {
    const nobody = fold(upRecord(pod), silent, 3000);
    expect(probeOf(nobody).nextAt).toBe(3020);
    expect(probeOf(fold(nobody, sick, 3020)).nextAt).toBe(4020);
  });

  it("waits for no initial delay when the container ran before the agent did", () => {
    const record = adoptRecord(null, [running], 0, restartDelayMs);
    const { record: seen, step } = look(pod, [running], record);
    expect(step).toMatchObject({ probe: ["web"] });
    expect(report(pod, [running], seen)).toBeNull();
    const once = fold(seen, fine, 0);
    expect(report(pod, [running], once)).toBeNull();
    expect(report(pod, [running], fold(once, fine, 1000))).toMatchObject({ state: "ready" });
  });

  it("is denied to an adopted pod only after its failures in a row", () => {
    const { record: seen } = look(pod, [running], adoptRecord(null, [running], 0, restartDelayMs));
    let record = seen;
    for (const [at, outcome] of [sick, fine, sick, fine].entries()) {
      record = fold(record, outcome, at * 1000);
      expect(report(pod, [running], record, at * 1000)).toBeNull();
    }
    expect(report(pod, [running], fold(record, fine, 4000), 4000)).toMatchObject({ state: "ready" });
    record = fold(fold(record, sick, 4000), sick, 5000);
    expect(report(pod, [running], record, 5000)).toMatchObject({ state: "running" });
  });

  it("counts for each container of a pod by itself", () => {
    const side: Container = { name: "side", sim: {}, readiness: { tcp: { port: 9000 } } };
    const both = podNamed("web-1", { containers: [web, side] });
    const containers = [running, containerOf(both, "side")];
    let record = { ...upRecord(both), probes: firstProbes(both, false, 0) };
    expect(look(both, containers, record, 0).step).toEqual({ do: "wait", until: 3000, probe: ["side"] });
    record = foldProbe(record, side, fine, true, 0);
    record = fold(fold(record, fine, 3000), fine, 4000);
    expect(report(both, containers, record, 4000)).toMatchObject({ state: "ready" });
    for (const now of [5000, 7000, 9000]) record = foldProbe(record, side, silent, true, now);
    expect(report(both, containers, record, 9000)).toMatchObject({ state: "running" });
  });
});

describe("what a check tries", () => {
  const base = { name: "web", sim: {} };
  const pod = podNamed("web-1", { containers: [base] });
  const web = containerOf(pod, "web", { ports, address: "172.17.0.2" });
  const http = { path: "/", host: null };

  it("is the container's own address, else the published port", () => {
    const checked = { ...base, ports: httpPort, readiness: { http: { port: 80 } } };
    expect(targetsOf({ ...base, ports: httpPort }, [web], "10.0.0.1").targets).toMatchObject([
      { http: null, host: "172.17.0.2", port: 80 },
    ]);
    const published = { ...web, ports: [{ name: "http", containerPort: 80, hostPort: 30_000 }] };
    expect(targetsOf(checked, [published], "10.0.0.1").targets.at(-1)).toMatchObject({
      http,
      host: "10.0.0.1",
      port: 30_000,
    });
  });

  it("is the declared ports and the check's own, each once", () => {
    const named = { ...base, ports: httpPort, readiness: { http: { port: "http", host: "shop.test" } } };
    expect(targetsOf(named, [web], "10.0.0.1").targets).toMatchObject([{ http: { path: "/", host: "shop.test" } }]);
    const other = { ...base, ports: httpPort, readiness: { tcp: { port: 9000 } } };
    expect(targetsOf(other, [web], "10.0.0.1").targets.map(({ what, port }) => [what, port])).toEqual([
      ["port http", 80],
      ["port 9000", 9000],
    ]);
  });

  it("is the address where a port was published, too, when another is advertised since, and that is told to others", () => {
    const checked = { ...base, ports: httpPort, readiness: { tcp: { port: "http" } } };
    const made = { ...web, ports: ports.map((port) => ({ ...port, host: "10.0.0.9" })) };
    expect(targetsOf(checked, [made], "10.0.0.9").targets).toMatchObject([{ host: "172.17.0.2", port: 80 }]);
    expect(targetsOf(checked, [made], "10.0.0.1").targets).toMatchObject([
      { what: "port http at 10.0.0.9:30000, where it was published,", host: "10.0.0.9", port: 30_000 },
      { host: "172.17.0.2", port: 80 },
    ]);
    const bare = { ...made, ports: [{ name: "http", containerPort: 80, hostPort: 30_000, host: "10.0.0.9" }] };
    expect(targetsOf(checked, [bare], "10.0.0.1").targets.at(-1)).toMatchObject({ host: "10.0.0.9", port: 30_000 });
    expect(report(pod, [made], upRecord(pod))?.observed.addresses).toEqual([{ ...ports[0], host: "10.0.0.9" }]);
  });

  it("may be a port of another container of the pod", () => {
    const side = { name: "side", sim: {}, readiness: { tcp: { port: "http" } } };
    const info = containerOf(pod, "side");
    expect(targetsOf(side, [web, info], "10.0.0.1").targets).toMatchObject([{ host: "172.17.0.2", port: 80 }]);
  });

  it("is nothing where there is no address, and that is said", () => {
    const bare = containerOf(pod, "web");
    const { targets, missing } = targetsOf({ ...base, readiness: { tcp: { port: 9000 } } }, [bare], "10.0.0.1");
    expect([targets, missing]).toEqual([[], "port 9000 has no address that this node reaches"]);
    const process = { name: "web", process: { command: ["serve"] }, readiness: { tcp: { port: 9000 } } };
    expect(targetsOf(process, [bare], "10.0.0.1").targets).toMatchObject([{ host: "10.0.0.1", port: 9000 }]);
  });
});
