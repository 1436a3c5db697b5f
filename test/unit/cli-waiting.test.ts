import { expect, test } from "vitest";
import { asksPods, lookAt, lookThroughPods } from "../../cli/goals.ts";
import { podWaiting, serviceWaiting, workloadWaiting } from "../../cli/waiting.ts";
import type { PodObject } from "../../schemas/generated/types.ts";
import { podObject, workloadObject } from "../support/cli-leader.ts";

const pod = (state: string): never => podObject("web-1", state) as never;
const podOf = (state: string): PodObject => pod(state);
const workload = (status: object): never => workloadObject(status) as never;

test("a pod says what it waits for and since when, and nothing when it is ready", () => {
  expect(podWaiting(pod("pulling"), 90_000)).toBe("its image to be there (for 1m30s)");
  expect(podWaiting(pod("ready"), 90_000)).toBe("");
  const failed = (reason: string): string => {
    const one = podOf("failed");
    return podWaiting({ ...one, status: { ...one.status, reason } }, 90_000);
  };
  expect(failed("IMAGE_NOT_FOUND")).toMatch(/^another try/);
  expect(failed("EXITED")).toMatch(/^nothing/);
});

test("a workload counts the pods that keep it", () => {
  const pods = [pod("ready"), pod("pulling"), pod("pulling"), pod("backoff")];
  expect(workloadWaiting(workload({ replicas: 5, pods: 4, updated: 4 }), pods)).toBe(
    "2 pulling, 1 backoff to go on; 1 pod of the new template; 1 pod to be made",
  );
  expect(workloadWaiting(workload({ phase: "steady" }), [])).toBe("");
  expect(workloadWaiting(workload({ phase: "halted" }), [])).toContain("halted");
  expect(workloadWaiting(workload({ phase: "deleting", pods: 1, updated: 0 }), [pod("stopping")])).toBe(
    "1 stopping to go on",
  );
});

test("a service without endpoints says whose readiness it waits for", () => {
  const service = (selector: object | undefined, endpoints: number): never =>
    ({ spec: { selector }, status: { endpoints } }) as never;
  expect(serviceWaiting(service({ workload: "web" }, 0), [pod("running")])).toBe(
    "a ready pod of workload web: 0 of 1 are",
  );
  expect(serviceWaiting(service({ workload: "web" }, 0), [])).toBe("pods of workload web");
  expect(serviceWaiting(service(undefined, 0), [])).toBe("a program to register itself");
  expect(serviceWaiting(service({ workload: "web" }, 2), [])).toBe("");
});

test("a wait for what failed for good ends at once, with the reason", () => {
  const goal = { kind: "workload", namespace: "default", name: "once", until: "settled" } as const;
  const look = (restartPolicy: string): unknown => {
    const object = workloadObject({ ready: 0, phase: "progressing", reason: "EXITED", message: "code 4" });
    return lookAt(goal, { ...object, spec: { replicas: 1, restartPolicy } });
  };
  expect(() => look("Never")).toThrow(expect.objectContaining({ code: "EXITED" }));
  expect(look("Always")).toMatchObject({ done: false });
  const failed = podOf("failed");
  const once = { ...failed, status: { ...failed.status, reason: "EXITED" } };
  expect(() => lookAt({ ...goal, kind: "pod", name: "once-1" }, once as never)).toThrow(/once-1 failed/);
});

test("a count of ready pods is waited for as long as those that did not fail are enough", () => {
  const goal = { kind: "workload", namespace: "default", name: "web", until: { count: 1 } } as const;
  const status = { replicas: 2, ready: 0, phase: "progressing", reason: "EXITED", message: "web-1: code 4" };
  const object = { ...workloadObject(status), spec: { replicas: 2, restartPolicy: "Never" } };
  const failed = podObject("web-1", "failed", { reason: "EXITED", message: "code 4" }) as never;
  expect(lookAt(goal, object)).toMatchObject({ done: false });
  expect(asksPods(goal, object)).toBe(true);
  lookThroughPods(goal, object, [failed, pod("starting")]);
  expect(() => lookThroughPods(goal, object, [failed, failed])).toThrow(expect.objectContaining({ code: "EXITED" }));
  expect(() => lookAt({ ...goal, until: "ready" }, object)).toThrow(/will not be ready/);
});
