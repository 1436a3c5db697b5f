import { describe, expect, it } from "vitest";
import type { AssignedPod } from "../../schemas/generated/types.ts";
import { adoptRecord, freshRecord, keptOf } from "../../services/agent/pod/record.ts";
import type { PodRecord } from "../../services/agent/pod/record.ts";
import { podReport } from "../../services/agent/pod/report.ts";
import { foldFailure, foldSuccess, restartDelayMs } from "../../services/agent/pod/restart.ts";
import { nextStep } from "../../services/agent/pod/step.ts";
import type { ContainerInfo } from "../../services/agent/runtime/driver.ts";
import { limits } from "../../services/bus/limits.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { containerOf, podNamed } from "../support/agent.ts";

const two: AssignedPod["containers"] = [
  { name: "web", image: "web" },
  { name: "side", image: "side" },
];

const look = (pod: AssignedPod | null, containers: ContainerInfo[], record: PodRecord, now = 0) =>
  nextStep({ pod, containers, record, fence: null, now });

/** A pod whose containers all run, as the agent knows it some time after the start. */
const upRecord = (pod: AssignedPod, now = 0): PodRecord => {
  const containers = pod.containers.map(({ name }) => containerOf(pod, name));
  const started = { ...freshRecord, started: pod.containers.map(({ name }) => name) };
  return look(pod, containers, started, now).record;
};

const report = (pod: AssignedPod, containers: ContainerInfo[], record: PodRecord, now = 0) =>
  podReport({ pod, containers, record, advertise: "10.0.0.1", now, outage: null, last: null });

describe("what is said of a pod", () => {
  it("is cut where an engine says very much", () => {
    const ended = { code: "IMAGE_NOT_FOUND", message: "x".repeat(5000) } as const;
    const { observed } = report(podNamed("web-1"), [], { ...freshRecord, finished: "failed", ended }) ?? {};
    expect(observed?.message).toHaveLength(limits.observedText);
  });
});

describe("the next step of a pod", () => {
  it("pulls all images, then makes all containers, then starts them in order", () => {
    const pod = podNamed("web-1", { containers: two });
    expect(look(pod, [], freshRecord).step).toEqual({ do: "pull", index: 0 });
    expect(look(pod, [], { ...freshRecord, pulled: ["web"] }).step).toEqual({ do: "pull", index: 1 });
    const pulled = { ...freshRecord, pulled: ["web", "side"] };
    expect(look(pod, [], pulled).step).toEqual({ do: "create", index: 0 });
    const first = containerOf(pod, "web", { state: "created" });
    expect(look(pod, [first], pulled).step).toEqual({ do: "create", index: 1 });
    const second = containerOf(pod, "side", { state: "created" });
    expect(look(pod, [second, first], pulled).step).toEqual({ do: "start", id: "id-web", name: "web" });
    const started = { ...pulled, started: ["web"] };
    expect(look(pod, [{ ...first, state: "running" }, second], started).step).toMatchObject({ name: "side" });
  });

  it("does nothing about a pod that runs", () => {
    const pod = podNamed("web-1");
    const { record, step } = look(pod, [containerOf(pod, "web")], upRecord(pod));
    expect(step).toEqual({ do: "wait", until: null, probe: [] });
    expect(look(pod, [containerOf(pod, "web")], record).record).toBe(record);
  });

  it("starts the very container that crashed, at once the first time", () => {
    const pod = podNamed("web-1");
    const crashed = containerOf(pod, "web", { state: "exited", exitCode: 1 });
    const { record, step } = look(pod, [crashed], upRecord(pod), 500);
    expect(step).toEqual({ do: "start", id: "id-web", name: "web" });
    expect(record).toMatchObject({ restarts: 1, spent: 1, exitCode: 1, ended: { code: "EXITED" } });
  });

  it("waits 1 s before the second restart and doubles up to 60 s", () => {
    expect([1, 2, 3, 4, 7, 8, 9, 99].map(restartDelayMs)).toEqual([
      0, 1000, 2000, 4000, 32_000, 60_000, 60_000, 60_000,
    ]);
    const pod = podNamed("web-1");
    const crashed = containerOf(pod, "web", { state: "exited", exitCode: 1 });
    const { record, step } = look(pod, [crashed], { ...upRecord(pod), restarts: 1, spent: 1 }, 500);
    expect(step).toEqual({ do: "wait", until: 1500, probe: [] });
    expect(report(pod, [crashed], record)).toMatchObject({
      state: "backoff",
      observed: { reason: "EXITED", restarts: 2, exitCode: 1, message: expect.stringContaining("1 s") },
    });
    expect(look(pod, [crashed], record, 1500).step).toMatchObject({ do: "start" });
  });

  it("gives the restart budget back after a minute of running", () => {
    const pod = podNamed("web-1");
    const crashed = containerOf(pod, "web", { state: "exited", exitCode: 1 });
    const tired = { ...upRecord(pod, 0), restarts: 9, spent: 9 };
    expect(look(pod, [crashed], tired, 59_999).step).toMatchObject({ do: "wait" });
    expect(look(pod, [crashed], tired, 60_000)).toMatchObject({
      step: { do: "start" },
      record: { spent: 1, restarts: 10 },
    });
  });

  it("notes when a pod has its budget back, for an agent that finds it ended later", () => {
    const pod = podNamed("web-1");
    const runs = [containerOf(pod, "web")];
    const tired = { ...upRecord(pod, 0), restarts: 9, spent: 9 };
    const early = look(pod, runs, tired, 59_999);
    expect(early).toMatchObject({ record: { spent: 9 }, step: { do: "wait", until: 60_000 } });
    const { record, step } = look(pod, runs, early.record, 60_000);
    expect(record).toMatchObject({ spent: 0, restarts: 9 });
    expect(step).toEqual({ do: "wait", until: null, probe: [] });
    const cut = [containerOf(pod, "web", { state: "exited", exitCode: null })];
    const found = adoptRecord(keptOf(record), cut, 0, restartDelayMs);
    expect(look(pod, cut, found, 0).step).toMatchObject({ do: "start" });
  });

  it("tells a container killed for its memory from one that exited", () => {
    const pod = podNamed("web-1");
    const killed = containerOf(pod, "web", { state: "exited", exitCode: 137, oomKilled: true });
    expect(look(pod, [killed], upRecord(pod)).record.ended).toMatchObject({ code: "OOM_KILLED" });
    const unseen = containerOf(pod, "web", { state: "exited", exitCode: null });
    expect(look(pod, [unseen], upRecord(pod)).record.ended).toMatchObject({ code: "EXIT_UNOBSERVED" });
    expect(look(pod, [], upRecord(pod)).record.ended).toMatchObject({ code: "EXIT_UNOBSERVED" });
  });

  it("takes a pod of several containers down as a whole before it starts again", () => {
    const pod = podNamed("web-1", { containers: two });
    const web = containerOf(pod, "web", { state: "exited", exitCode: 1 });
    const side = containerOf(pod, "side");
    const { record, step } = look(pod, [web, side], upRecord(pod));
    expect(step).toEqual({ do: "stop", ids: ["id-side"] });
    const stopped = { ...side, state: "exited" as const, exitCode: 143 };
    const after = look(pod, [web, stopped], record);
    expect(after.step).toMatchObject({ do: "start", name: "web" });
    expect(after.record.restarts).toBe(1);
  });

  it("makes the other containers anew when the first one, whose network they share, is gone", () => {
    const pod = podNamed("web-1", { containers: two });
    const side = containerOf(pod, "side", { state: "exited", exitCode: 0 });
    const { step } = look(pod, [side], { ...freshRecord, pulled: ["web", "side"] });
    expect(step).toEqual({ do: "remove", ids: ["id-side"] });
  });

  it("never keeps two containers for one place", () => {
    const pod = podNamed("web-1");
    const twice = [containerOf(pod, "web"), containerOf(pod, "web", { id: "other" }), containerOf(pod, "gone")];
    expect(look(pod, twice, upRecord(pod)).step).toEqual({ do: "remove", ids: ["other", "id-gone"] });
  });

  it("stops, removes and is done with a pod that shall stop", () => {
    const pod = podNamed("web-1", { desired: "stop", containers: two });
    const web = containerOf(pod, "web");
    const side = containerOf(pod, "side");
    const first = look(pod, [web, side], upRecord(podNamed("web-1", { containers: two })));
    expect(first.step).toEqual({ do: "stop", ids: ["id-web", "id-side"] });
    const exited = ["web", "side"].map((name) => containerOf(pod, name, { state: "exited", exitCode: 143 }));
    expect(look(pod, exited, first.record).step).toEqual({ do: "remove", ids: ["id-side", "id-web"] });
    expect(look(pod, [], first.record).step).toEqual({ do: "done" });
    expect(report(pod, [], first.record)).toMatchObject({ state: "stopped", observed: { reason: "STOPPED" } });
  });

  it("does not let an old back-off hold up a stop", () => {
    const pod = podNamed("web-1");
    const waiting = { ...freshRecord, retryAt: 60_000 };
    const crashed = containerOf(pod, "web", { state: "exited", exitCode: 1 });
    expect(look({ ...pod, desired: "stop" }, [crashed], waiting).step).toMatchObject({ do: "remove" });
    expect(look(null, [crashed], waiting).step).toMatchObject({ do: "remove" });
  });
});

describe("restart policies", () => {
  const ended = (pod: AssignedPod, exitCode: number | null) => containerOf(pod, "web", { state: "exited", exitCode });

  it("OnFailure completes with code 0 and restarts otherwise", () => {
    const pod = podNamed("job-1", { restartPolicy: "OnFailure" });
    const done = look(pod, [ended(pod, 0)], upRecord(pod));
    expect(done.step).toMatchObject({ do: "wait", until: null });
    expect(report(pod, [ended(pod, 0)], done.record)).toMatchObject({
      state: "stopped",
      observed: { reason: "COMPLETED", exitCode: 0 },
    });
    expect(look(pod, [ended(pod, 3)], upRecord(pod)).step).toMatchObject({ do: "start" });
    expect(look(pod, [ended(pod, null)], upRecord(pod)).step).toMatchObject({ do: "start" });
  });

  it("Never completes with code 0 and fails otherwise", () => {
    const pod = podNamed("job-1", { restartPolicy: "Never" });
    const done = look(pod, [ended(pod, 0)], upRecord(pod)).record;
    expect(report(pod, [], done)).toMatchObject({ state: "stopped", observed: { reason: "COMPLETED" } });
    const failed = look(pod, [ended(pod, 3)], upRecord(pod));
    expect(failed.step).toMatchObject({ do: "wait", until: null });
    expect(report(pod, [], failed.record)).toMatchObject({
      state: "failed",
      observed: { reason: "EXITED", exitCode: 3, restarts: 0 },
    });
  });

  it("Never waits until all containers have ended", () => {
    const pod = podNamed("job-1", { restartPolicy: "Never", containers: two });
    const one = look(pod, [ended(pod, 0), containerOf(pod, "side")], upRecord(pod));
    expect(one.record.finished).toBeNull();
    expect(one.step).toMatchObject({ do: "wait" });
    const both = [ended(pod, 0), containerOf(pod, "side", { state: "exited", exitCode: 0 })];
    expect(look(pod, both, one.record).record.finished).toBe("stopped");
  });

  it("Always restarts after code 0", () => {
    const pod = podNamed("web-1");
    expect(look(pod, [ended(pod, 0)], upRecord(pod)).step).toMatchObject({ do: "start" });
  });
});

describe("steps the engine refuses", () => {
  const refuse = (record: PodRecord, now: number, code: "IMAGE_NOT_FOUND" | "IMAGE_PULL_FAILED" = "IMAGE_NOT_FOUND") =>
    foldFailure(record, "Always", "pull", new SwainError(code, "no such image"), now);

  it("are tried again after 1 s, doubling up to 60 s, and say why", () => {
    const pod = podNamed("web-1");
    let record = refuse(freshRecord, 0);
    expect(look(pod, [], record, 0).step).toEqual({ do: "wait", until: 1000, probe: [] });
    expect(report(pod, [], record)).toMatchObject({ state: "failed", observed: { reason: "IMAGE_NOT_FOUND" } });
    for (let time = 0; time < 20; time += 1) record = refuse(record, 0);
    expect(record.retryAt).toBe(60_000);
    expect(look(pod, [], record, 60_000).step).toMatchObject({ do: "pull" });
  });

  it("leave the pod in backoff when the same may work later", () => {
    const record = refuse(freshRecord, 0, "IMAGE_PULL_FAILED");
    expect(report(podNamed("web-1"), [], record)).toMatchObject({ state: "backoff" });
  });

  it("keep their reason while they are tried again, so that no report flaps", () => {
    const pod = podNamed("web-1");
    const retrying = look(pod, [], refuse(freshRecord, 0), 1000).record;
    expect(report(pod, [], retrying)).toEqual(report(pod, [], refuse(freshRecord, 0)));
    const pulled = foldSuccess({ ...retrying, pulled: ["web"] }, "pull");
    expect(report(pod, [], pulled)).toMatchObject({ state: "starting", observed: { reason: "" } });
  });

  it("finish a pod that may never be restarted, when they would be refused again", () => {
    const error = new SwainError("COMMAND_NOT_FOUND", "no such program");
    const record = foldFailure(freshRecord, "Never", "start", error, 0);
    const pod = podNamed("job-1", { restartPolicy: "Never" });
    expect(look(pod, [], record, 99_999).step).toMatchObject({ do: "wait", until: null });
    expect(report(pod, [], record)).toMatchObject({ state: "failed", observed: { reason: "COMMAND_NOT_FOUND" } });
  });

  it("pull again when an image was removed between its pull and the make", () => {
    const record = foldFailure(
      { ...freshRecord, pulled: ["web"] },
      "Always",
      "create",
      new SwainError("IMAGE_NOT_FOUND", ""),
      0,
    );
    expect(look(podNamed("web-1"), [], record, 1000).step).toEqual({ do: "pull", index: 0 });
  });
});

describe("adoption", () => {
  const pod = podNamed("web-1");

  it("goes on with a running container without touching it", () => {
    const kept = {
      restarts: 4,
      spent: 2,
      started: ["web"],
      exitCode: 1,
      ended: null,
      finished: null,
      fenced: false,
      unleased: false,
    };
    const record = adoptRecord(kept, [containerOf(pod, "web")], 0, restartDelayMs);
    const { record: seen, step } = look(pod, [containerOf(pod, "web")], record);
    expect(step).toMatchObject({ do: "wait" });
    expect(seen.restarts).toBe(4);
  });

  it("restarts a container that ended while the agent was away", () => {
    const crashed = containerOf(pod, "web", { state: "exited", exitCode: 2 });
    const kept = {
      restarts: 0,
      spent: 0,
      started: ["web"],
      exitCode: null,
      ended: null,
      finished: null,
      fenced: false,
      unleased: false,
    };
    const { step, record } = look(pod, [crashed], adoptRecord(kept, [crashed], 0, restartDelayMs));
    expect(step).toMatchObject({ do: "start" });
    expect(record.restarts).toBe(1);
  });

  it("does not run a finished pod again, with or without a journal", () => {
    const job = podNamed("job-1", { restartPolicy: "OnFailure" });
    const done = containerOf(job, "web", { state: "exited", exitCode: 0 });
    for (const kept of [
      {
        restarts: 0,
        spent: 0,
        started: ["web"],
        exitCode: 0,
        ended: null,
        finished: "stopped" as const,
        fenced: false,
        unleased: false,
      },
      null,
    ]) {
      const { step } = look(job, [done], adoptRecord(kept, [done], 0, restartDelayMs));
      expect(step).toEqual({ do: "wait", until: null, probe: [] });
    }
  });

  it("does not run a Never pod again whose container is gone", () => {
    const job = podNamed("job-1", { restartPolicy: "Never" });
    const kept = {
      restarts: 0,
      spent: 0,
      started: ["web"],
      exitCode: null,
      ended: null,
      finished: null,
      fenced: false,
      unleased: false,
    };
    const { record } = look(job, [], adoptRecord(kept, [], 0, restartDelayMs));
    expect(record).toMatchObject({ finished: "failed", ended: { code: "EXIT_UNOBSERVED" } });
  });

  it("keeps waiting the back-off that the agent's end interrupted", () => {
    const crashed = containerOf(pod, "web", { state: "exited", exitCode: 2 });
    const kept = {
      restarts: 3,
      spent: 3,
      started: [],
      exitCode: 2,
      ended: null,
      finished: null,
      fenced: false,
      unleased: false,
    };
    const { step, record } = look(pod, [crashed], adoptRecord(kept, [crashed], 0, restartDelayMs));
    expect(step).toEqual({ do: "wait", until: 2000, probe: [] });
    expect(record.restarts).toBe(3);
  });
});

describe("an engine that does not answer", () => {
  const outage = new SwainError("ENGINE_UNREACHABLE", "no answer");
  const pod = podNamed("web-1");
  const said = report(pod, [containerOf(pod, "web")], upRecord(pod));
  const during = (record: PodRecord, last: typeof said, told = pod) =>
    podReport({ pod: told, containers: [], record, advertise: "10.0.0.1", now: 0, outage, last });

  it("leaves what was said of a running pod as it is", () => {
    expect(during(upRecord(pod), said)).toBe(said);
  });

  it("is the reason of a pod that cannot be started or stopped", () => {
    expect(during(freshRecord, null)).toMatchObject({ state: "starting", observed: { reason: "ENGINE_UNREACHABLE" } });
    expect(during(freshRecord, said, { ...pod, desired: "stop" })).toMatchObject({
      state: "ready",
      observed: { reason: "ENGINE_UNREACHABLE" },
    });
  });

  it("does not hide why a pod failed for good", () => {
    const failure = { step: "pull", code: "IMAGE_NOT_FOUND", message: "There is no such image." } as const;
    const failed = { ...freshRecord, failure, retryAt: 1000 };
    expect(during(failed, null)).toMatchObject({ state: "failed", observed: { reason: "IMAGE_NOT_FOUND" } });
  });

  it("never makes a pod stopped", () => {
    expect(during(freshRecord, null, { ...pod, desired: "stop" })).toBeNull();
  });
});
