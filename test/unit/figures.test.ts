import { describe, expect, it } from "vitest";
import { controllerReady } from "../../services/controller/figures.ts";
import { counter, histogram, Tally, Timings } from "../../services/kernel/figures.ts";
import { listenAddress } from "../../services/kernel/listen-address.ts";
import { proxyFigures, proxyReady } from "../../services/proxy/figures.ts";

describe("a tally", () => {
  it("counts each combination of labels for itself", () => {
    const tally = new Tally(["verb", "code"]);
    tally.add("pod.list", "OK");
    tally.add("pod.list", "OK");
    tally.add("pod.list", "BUSY");
    expect(tally.of(counter("x_total", "X.", ["verb", "code"])).samples).toEqual([
      { labels: { verb: "pod.list", code: "OK" }, value: 2 },
      { labels: { verb: "pod.list", code: "BUSY" }, value: 1 },
    ]);
  });

  it("never has more series than its bound, and loses no count", () => {
    const tally = new Tally(["verb"]);
    for (let index = 0; index < 1000; index++) tally.add(`verb-${index}`);
    const { samples } = tally.of(counter("x_total", "X.", ["verb"]));
    expect(samples.length).toBeLessThanOrEqual(201);
    expect(samples.reduce((sum, { value }) => sum + value, 0)).toBe(1000);
    expect(samples.at(-1)).toEqual({ labels: { verb: "other" }, value: 800 });
  });
});

it("timings count into growing buckets, in seconds", () => {
  const timings = new Timings();
  for (const ms of [0.4, 3, 3, 60_000]) timings.add(ms);
  const { samples } = timings.of(histogram("x_seconds", "X."));
  const bucket = (le: string): number | undefined => samples.find(({ labels }) => labels["le"] === le)?.value;
  expect([bucket("0.0005"), bucket("0.0025"), bucket("0.005"), bucket("30"), bucket("+Inf")]).toEqual([1, 1, 3, 3, 4]);
  expect(samples.at(-1)).toEqual({ suffix: "_count", labels: {}, value: 4 });
  expect(samples.at(-2)?.value).toBeCloseTo(60.0064, 6);
});

describe("a controller is ready", () => {
  const met = { isConnected: true, heardAgoMs: 400, isIdle: false, queues: null };
  const idle = { changes: 0, reports: 0, assignments: 0, projections: 0, api: 0, projectionLagMs: 0, deafMs: 5000 };
  const isReady = (view: Partial<Parameters<typeof controllerReady>[0]>): boolean =>
    controllerReady({ ...met, ...view }).every(({ ok }) => ok);

  it("when it hears a leader, or leads", () => expect([isReady({}), isReady({ queues: idle })]).toEqual([true, true]));
  it.each([
    ["away from the bus", { isConnected: false }],
    ["before any leader was heard", { heardAgoMs: null }],
    ["after a silence of more than 5 s", { heardAgoMs: 5001 }],
    ["waiting for its update", { isIdle: true }],
    ["leading, but long without an answer of its server", { queues: { ...idle, deafMs: 5001 } }],
  ])("but not %s", (_, view) => expect(isReady(view)).toBe(false));
});

describe("a proxy", () => {
  const none = { up: 0, checking: 0, down: 0, ejected: 0, draining: 0 };
  const view = {
    isConnected: false,
    isLoaded: true,
    isOver: false,
    connections: 0,
    listenersWanted: 2,
    listenersOpen: 2,
  };

  it("is ready without the bus, and not with a port it cannot have or without endpoints", () => {
    const isReady = (more: Partial<typeof view>): boolean => proxyReady({ ...view, ...more }).every(({ ok }) => ok);
    expect([isReady({}), isReady({ listenersOpen: 1 }), isReady({ isLoaded: false })]).toEqual([true, false, false]);
  });

  it("has no more series than its bound, however many services there are", () => {
    const services = Array.from({ length: 3000 }, (_, index) => ({
      service: `default/s${index}`,
      open: 1,
      total: 2,
      refused: 0,
      failed: 0,
      bytesIn: 0,
      bytesOut: 0,
      backends: none,
    }));
    const total = proxyFigures({ ...view, services }).find(({ family }) => family.name.endsWith("connections_total"));
    expect(total?.samples).toHaveLength(501);
    expect(total?.samples.at(-1)).toEqual({ labels: { service: "other" }, value: 5000 });
  });
});

it.each([
  ["9100", { host: "127.0.0.1", port: 9100 }],
  ["0.0.0.0:9100", { host: "0.0.0.0", port: 9100 }],
  ["[::1]:0", { host: "::1", port: 0 }],
])("--http %s", (text, address) => expect(listenAddress(text, "--http")).toEqual(address));

it.each(["", "x", "1:2:3", "70000", ":80"])("--http %j is refused", (text) =>
  expect(() => listenAddress(text, "--http")).toThrow(/HOST:PORT or PORT/),
);
