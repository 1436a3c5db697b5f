// The report says what its recordings say, and the checker sees what it is there for.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { endings, figures, report } from "./checker.mjs";

describe("the fault report", () => {
  it("is what the checker makes of the recordings beside it", () => {
    expect(readFileSync(join(import.meta.dirname, "REPORT.md"), "utf8")).toBe(
      report(join(import.meta.dirname, "runs")),
    );
  });
});

describe("the checker", () => {
  const run = { at: 0, kind: "run", startedAt: 1000, workload: "web", fenced: "db", replicas: 1 };
  const life = (at: number, pid: number, pod: string, workload = "web", release = ""): object => ({
    at,
    kind: "started",
    pid,
    pod,
    workload,
    node: "n1",
    release,
  });
  const ended = (at: number, pid: number): object => ({ at, kind: "ended", pid });
  const asked = (at: number, operation: string, replicas: number): object[] => [
    { at, kind: "asked", operation, replicas },
    { at: at + 1, kind: "acknowledged", operation, sequence: 7 },
  ];
  const record = (seq: number, epoch: number, operation: string, ...items: object[]): object => ({
    at: 9000,
    kind: "record",
    seq,
    event: { epoch, time: 1000, operation, items },
  });
  const scaled = (replicas: number): object => ({ kind: "workload", verb: "scaled", name: "web", replicas });
  const end = { at: 9000, kind: "answers", ok: 0, failed: 0 };

  it("finds nothing in a run that went well", () => {
    const lines = [
      run,
      life(0, 1, "web-1"),
      ...asked(10, "a", 2),
      life(50, 2, "web-2"),
      record(7, 1, "a", scaled(2)),
      end,
    ];
    expect(figures(lines)).toMatchObject({
      acknowledged: 1,
      lost: 0,
      doubled: 0,
      unasked: 0,
      stale: 0,
      convergedMs: 39,
    });
  });

  it("counts a change that was acknowledged and is not in the log, or is undone by it", () => {
    expect(figures([run, ...asked(10, "a", 2), end]).lost).toBe(1);
    expect(
      figures([run, ...asked(10, "a", 2), record(7, 1, "a", scaled(2)), record(8, 1, "", scaled(5)), end]).lost,
    ).toBe(1);
  });

  const deploy = (at: number, operation: string, replicas: number): object[] => [
    { at, kind: "asked", operation, replicas, release: operation },
    { at: at + 1, kind: "acknowledged", operation, sequence: 7 },
  ];
  const applied = (replicas: number, release: string): object => ({
    kind: "workload",
    verb: "applied",
    name: "web",
    spec: { replicas, containers: [{ name: "web", env: [{ name: "FAULT_RELEASE", value: release }] }] },
  });

  it("takes a rollout for none of what it counts, and waits until it is over", () => {
    const stopping = record(8, 1, "", { kind: "pod", verb: "stopping", name: "web-1" });
    const rollout = [life(60, 2, "web-2", "web", "b"), ended(90, 1)];
    const lines = [
      run,
      life(0, 1, "web-1", "web", "a"),
      ...deploy(10, "b", 1),
      { at: 20, kind: "fault" },
      ...rollout,
      record(7, 1, "b", applied(1, "b")),
      stopping,
      end,
    ];
    const is = { acknowledged: 1, deploys: 1, rolling: 1, lost: 0, doubled: 0, unasked: 0, replaced: 0 };
    expect(figures(lines)).toMatchObject({ ...is, convergedMs: 70 });
    // As many as are wanted, but of the old template: it is not over.
    const early = lines.filter((line) => !rollout.includes(line));
    expect(figures(early).convergedMs).toBe(Infinity);
    expect(figures(lines.filter((line) => line !== stopping)).unasked).toBe(1);
  });

  it("counts a deploy that was acknowledged and is undone by the log", () => {
    const lines = [run, ...deploy(10, "a", 1), ...deploy(20, "b", 1), record(7, 1, "a", applied(1, "a"))];
    expect(figures([...lines, record(8, 1, "b", applied(1, "b")), end]).lost).toBe(0);
    expect(figures([...lines, record(8, 1, "b", applied(1, "a")), end]).lost).toBe(1);
  });

  it("counts two programs of a pod, and two pods of a workload with a fence", () => {
    expect(figures([run, life(0, 1, "web-1"), life(5, 2, "web-1"), end]).doubled).toBe(1);
    expect(figures([run, life(0, 1, "web-1"), ended(5, 1), life(5, 2, "web-1"), end]).doubled).toBe(0);
    expect(figures([run, life(0, 1, "db-1", "db"), life(5, 2, "db-2", "db"), end]).doubled).toBe(1);
  });

  it("counts a program that ended though nothing asked it to, and not one that was hit or stopped", () => {
    const stopping = record(7, 1, "", { kind: "pod", verb: "stopping", name: "web-1" });
    expect(figures([run, life(0, 1, "web-1"), ended(5, 1), end]).unasked).toBe(1);
    expect(figures([run, life(0, 1, "web-1"), ended(5, 1), stopping, end]).unasked).toBe(0);
    expect(figures([run, life(0, 1, "db-1", "db"), ended(5, 1), end])).toMatchObject({ unasked: 0, byFence: 1 });
    expect(figures([run, life(0, 1, "web-1"), { at: 1, kind: "hit", pid: 1 }, ended(5, 1), end]).unasked).toBe(0);
  });

  it("knows when a fence stopped its pod, and when another began", () => {
    const lines = [
      run,
      { at: 100, kind: "fault" },
      life(0, 1, "db-1", "db"),
      ended(500, 1),
      life(900, 2, "db-2", "db"),
    ];
    expect(figures([...lines, end])).toMatchObject({ byFence: 1, doubled: 0, fencedMs: 400, fenceGapMs: 400 });
    // One that the log had stopped before is none of the fence's.
    const stopping = record(7, 1, "", { kind: "pod", verb: "lost", name: "db-1" });
    expect(figures([...lines, stopping, end])).toMatchObject({ byFence: 0, fencedMs: null, fenceGapMs: null });
  });

  it("knows when a pod was given up", () => {
    const lost = { kind: "pod", verb: "lost", name: "web-1" };
    expect(figures([run, { at: 10, kind: "fault" }, record(7, 1, "", lost), end])).toMatchObject({
      replaced: 1,
      givenUpMs: -10,
    });
    expect(figures([run, end]).givenUpMs).toBeNull();
  });

  it("knows when a node was unknown, and when the old copies were gone", () => {
    const event = (kind: string, verb: string, name: string): object => record(7, 1, "", { kind, verb, name });
    const lines = [run, life(0, 1, "web-1"), { at: 10, kind: "fault" }, { at: 100, kind: "mended" }, ended(300, 1)];
    const given = [event("node", "unknown", "n1"), event("pod", "lost", "web-1"), end];
    expect(figures([...lines, ...given])).toMatchObject({ unknownMs: -10, replaced: 1, oldMs: 200 });
    expect(figures([...lines.slice(0, -1), ...given]).oldMs).toBe(Infinity);
    expect(figures([...lines, end])).toMatchObject({ unknownMs: null, oldMs: null });
  });

  it("counts what a leader wrote that was followed by another", () => {
    const elected = { kind: "leader", verb: "elected" };
    expect(
      figures([run, record(7, 7, "", elected), record(8, 7, "", scaled(1)), record(9, 1, "", scaled(1)), end]).stale,
    ).toBe(1);
  });

  it("knows how long nobody was answered, and a cluster that never came to rest", () => {
    const answers = (at: number, ok: number, failed: number): object => ({ at, kind: "answers", ok, failed });
    const lines = [run, answers(200, 5, 0), answers(400, 0, 3), answers(1000, 2, 0), end];
    expect(figures(lines)).toMatchObject({ requests: 10, failed: 3, silenceMs: 800, convergedMs: Infinity });
  });
});

describe("the checker of leaders and servers that end", () => {
  const record = (seq: number, time: number, epoch: number, operation: string, ...items: object[]): object => ({
    at: 900,
    kind: "record",
    seq,
    time,
    event: { epoch, operation, items },
  });
  const elected = { kind: "leader", verb: "elected", name: "c2" };
  const programs = (...pids: string[]): object => ({ at: 0, kind: "programs", running: { "web-1": pids } });
  const acknowledged = (at: number, operation: string, sequence: number): object => ({
    at,
    kind: "acknowledged",
    operation,
    sequence,
  });
  const lines = [
    { at: 0, kind: "leaders", server: "nats-server 2.14.3" },
    programs("1"),
    { at: 100, kind: "ended", signal: "SIGTERM", leader: "c1" },
    acknowledged(110, "a", 5),
    acknowledged(400, "b", 7),
    programs("1"),
    record(5, 105, 1, "a"),
    record(6, 250, 6, "e", elected),
    record(7, 390, 6, "b"),
  ];

  it("knows how long it took until another led, and until that one took a change", () => {
    expect(endings(lines)).toMatchObject({
      ends: [{ what: "SIGTERM", electedMs: 150, changedMs: 300 }],
      acknowledged: 2,
      lost: 0,
      twice: 0,
      stale: 0,
      touched: 0,
    });
  });

  it("counts what is lost, what happened twice, what an old leader wrote, and programs that are others", () => {
    expect(endings([...lines, acknowledged(500, "c", 9)]).lost).toBe(1);
    expect(endings([...lines, acknowledged(500, "b", 9)]).lost).toBe(1);
    expect(endings([...lines, record(8, 500, 6, "b")]).twice).toBe(1);
    expect(endings([...lines, record(8, 500, 1, "c")]).stale).toBe(1);
    expect(endings([...lines, programs("2")]).touched).toBe(1);
    expect(endings(lines.filter((line) => !("seq" in line && line.seq === 6))).ends[0]?.electedMs).toBe(Infinity);
  });
});
