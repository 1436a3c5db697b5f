// What applying, deleting and scaling say and refuse where autoscalers are concerned, and the checker's rules about them.
import { describe, expect, it } from "vitest";
import type { EventItem } from "../../schemas/generated/types.ts";
import { admitDelete, admitScale } from "../../services/core/admit/change.ts";
import { check } from "../../services/core/check.ts";
import { projection } from "../../services/core/project.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { autoscalerManifest, TestCluster, workloadManifest } from "../support/core.ts";

const cluster = (): TestCluster => new TestCluster({ n1: {} });

function problems(apply: () => unknown): unknown {
  try {
    apply();
  } catch (error) {
    if (error instanceof SwainError) return error.details["problems"];
    throw error;
  }
  throw new Error("it was not refused");
}

describe("applying an autoscaler", () => {
  it("fills in the defaults and keeps them in KV", () => {
    const one = cluster();
    const { results } = one.apply(workloadManifest("web"), autoscalerManifest("web"));
    expect(results.at(-1)).toEqual({ kind: "Autoscaler", namespace: "default", name: "web", action: "created" });
    const { kind, spec } = JSON.parse(projection(one.state, "desired", "autoscaler.default.web") ?? "null");
    expect({ kind, spec }).toEqual({
      kind: "Autoscaler",
      spec: {
        workload: "web",
        minReplicas: 2,
        maxReplicas: 10,
        cpu: 50,
        tolerance: 10,
        cooldown: "60s",
        scaleUp: { percent: 100, pods: 4, window: "0s" },
        scaleDown: { percent: 100, window: "5m" },
      },
    });
    expect(one.apply(autoscalerManifest("web")).results[0]?.action).toBe("unchanged");
    expect(one.apply(autoscalerManifest("web", { scaleUp: { pods: 1 } })).results[0]?.action).toBe("configured");
    // A limit given alone is meant alone.
    expect(one.state.autoscalers.get("default/web")?.spec.scaleUp).toEqual({ pods: 1, window: "0s" });
  });

  it("takes one of a workload that is not there yet, and says so", () => {
    const [result] = cluster().apply(autoscalerManifest("web")).results;
    expect(result?.note).toBe("there is no workload web in namespace default yet");
  });

  it("refuses a second one of the same workload, with every other problem at once", () => {
    const one = cluster();
    one.apply(autoscalerManifest("web"));
    const second = autoscalerManifest("other", { workload: "web" });
    const third = autoscalerManifest("third", { workload: "db" });
    const fourth = autoscalerManifest("fourth", { workload: "db" });
    expect(problems(() => one.apply(second, third, fourth))).toEqual([
      expect.objectContaining({ document: 0, path: "/spec/workload", code: "DUPLICATE", value: "web" }),
      expect.objectContaining({ document: 2, path: "/spec/workload", code: "DUPLICATE", value: "db" }),
    ]);
    expect(one.state.autoscalers.size).toBe(1);
  });

  it("tells of a workload with two of them beside what is wrong with other documents", () => {
    const one = cluster();
    one.apply(workloadManifest("web"), autoscalerManifest("web"));
    const second = autoscalerManifest("other", { workload: "web" });
    const wrong = autoscalerManifest("wrong", { workload: "db", minReplicas: 0 });
    expect(problems(() => one.apply(wrong, second))).toEqual([
      expect.objectContaining({ document: 0, path: "/spec/minReplicas" }),
      expect.objectContaining({ document: 1, path: "/spec/workload", code: "DUPLICATE" }),
    ]);
  });

  it("lets two of them exchange their workloads in one apply", () => {
    const one = cluster();
    one.apply(autoscalerManifest("a", { workload: "web" }), autoscalerManifest("b", { workload: "db" }));
    one.apply(autoscalerManifest("a", { workload: "db" }), autoscalerManifest("b", { workload: "web" }));
    expect([...one.state.autoscalerOf]).toEqual([
      ["default/db", "default/a"],
      ["default/web", "default/b"],
    ]);
  });

  it("keeps the count of a workload applied without replicas, and says what becomes of one applied with them", () => {
    const one = cluster();
    one.apply(workloadManifest("web", { replicas: 3 }), autoscalerManifest("web"));
    expect(one.apply(workloadManifest("web")).results[0]).toMatchObject({ action: "unchanged" });
    expect(one.state.workloads.get("default/web")?.spec.replicas).toBe(3);
    expect(one.apply(workloadManifest("web", { replicas: 5 })).results[0]?.note).toMatch(
      /within 2 to 10 and may change/,
    );
  });
});

describe("a workload with an autoscaler", () => {
  const one = cluster();
  one.apply(workloadManifest("web", { replicas: 3 }), autoscalerManifest("web"));

  it.each([
    [5, /autoscaler web keeps it within 2 to 10 and may change it after its cooldown of 60s/],
    [20, /autoscaler web brings it back within 2 to 10 at once/],
    [0, /autoscaler web leaves it alone until it is scaled up again/],
  ])("is scaled to %d by hand with a word about it", (replicas, note) => {
    expect(admitScale(one.state, "default", "web", replicas).results[0]?.note).toMatch(note);
  });

  it("is free again when the autoscaler is deleted", () => {
    const { items, results } = admitDelete(one.state, "autoscaler", "default", "web");
    expect(results[0]).toMatchObject({ kind: "Autoscaler", action: "deleted" });
    one.write("api", items);
    expect(projection(one.state, "desired", "autoscaler.default.web")).toBeNull();
    expect(admitScale(one.state, "default", "web", 5).results[0]?.note).toBeUndefined();
    expect(() => admitDelete(one.state, "autoscaler", "default", "web")).toThrow("There is no autoscaler web");
  });
});

describe("the checker", () => {
  const one = cluster();
  one.apply(workloadManifest("web", { replicas: 4 }), autoscalerManifest("web"));
  const seen = {
    resource: "cpu",
    target: 50,
    use: 1,
    request: 1,
    pods: 1,
    missing: 0,
    notReady: 0,
    reason: "",
  } as const;
  const base = {
    kind: "autoscaler",
    verb: "scaled",
    namespace: "default",
    name: "web",
    workload: "web",
    from: 4,
    replicas: 6,
    reason: "ABOVE_TARGET",
    message: "",
    metrics: [seen],
  } as const satisfies EventItem;
  const codes = (item: EventItem, replicas = "replicas" in item ? item.replicas : 0): string[] =>
    check(
      one.state,
      [item, { kind: "workload", verb: "scaled", namespace: "default", name: "web", replicas }],
      one.view(),
    ).map(({ code }) => code);

  it("has nothing against a change within the rules", () => {
    expect(codes(base)).toEqual([]);
    expect(codes({ ...base, replicas: 2 })).toEqual([]);
  });

  it.each([
    ["above the bounds", { ...base, replicas: 11 }, "OUTSIDE_BOUNDS"],
    ["below the bounds", { ...base, replicas: 1 }, "OUTSIDE_BOUNDS"],
    ["down without figures", { ...base, replicas: 3, metrics: [{ ...seen, pods: 0 }] }, "MISSING_METRICS"],
    ["from a count there is not", { ...base, from: 5 }, "STALE_SCALE"],
    ["by an autoscaler of another workload", { ...base, name: "db" }, "UNKNOWN_AUTOSCALER"],
  ])("refuses a change %s", (_what, item, code) => {
    expect(codes(item)).toContain(code);
  });

  it("refuses an explanation of another change, a change in the cooldown, and a second autoscaler", () => {
    expect(codes(base, 7)).toEqual(["SCALED_NOTHING"]);
    const spec = one.state.autoscalers.get("default/web")?.spec;
    if (spec === undefined) throw new Error("it was applied");
    const item = { kind: "autoscaler", verb: "applied", namespace: "default", name: "b", labels: {}, spec } as const;
    expect(check(one.state, [item]).map(({ code }) => code)).toEqual(["DOUBLED"]);
    one.write("api", [{ kind: "workload", verb: "scaled", namespace: "default", name: "web", replicas: 5 }]);
    expect(codes({ ...base, from: 5 })).toEqual(["IN_COOLDOWN"]);
    one.now += 60_000;
    expect(codes({ ...base, from: 5 })).toEqual([]);
  });
});
