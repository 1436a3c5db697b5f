// Proxies as a leader hears them: two that run under one id are both waited for.
import { beforeEach, describe, expect, it } from "vitest";
import type { ProxyHeartbeat } from "../../schemas/generated/types.ts";
import { limits } from "../../services/bus/limits.ts";
import type { BusMessage } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { Proxies } from "../../services/controller/nodes/proxies.ts";
import type { Context } from "../../services/controller/ports.ts";
import { silent } from "../../services/kernel/log.ts";

const { proxy } = subjectsOf("test");
const message = (subject: string, value: unknown): BusMessage => ({ subject, json: () => value }) as BusMessage;

let now: number;
let warned: unknown[];
let proxies: Proxies;
let changes: number;

beforeEach(() => {
  now = 0;
  warned = [];
  changes = 0;
  const log = { ...silent, warn: (_: string, fields: unknown) => void warned.push(fields) };
  const context = { clock: { mono: () => now }, counters: { dropped: 0 }, log } as unknown as Context;
  proxies = new Proxies(context, () => void changes++);
});

function hear(bootId: string | undefined, services: string[], over: Partial<ProxyHeartbeat> = {}): void {
  now += 500;
  const parts = Object.fromEntries(services.map((service) => [service, { 0: 7 }]));
  const boot = bootId === undefined ? {} : { bootId };
  proxies.onHeartbeat(message(proxy.heartbeat("p1"), { ...boot, services: parts, open: {}, number: 1, ...over }));
}
const served = () => proxies.view().map(({ applied }) => [...applied.keys()]);

describe("two proxies under one id", () => {
  it("are each known by what they serve and carry, and told of while both run", () => {
    hear("a", ["default/a"], { open: { "default/a-1": 2 } });
    hear("b", ["default/b"]);
    expect(served()).toEqual([["default/a"], ["default/b"]]);
    expect(warned).toEqual([]);
    hear("a", ["default/a"], { open: { "default/a-1": 2 } });
    hear("b", ["default/b"]);
    hear("a", ["default/a"], { open: { "default/a-1": 2 } });
    expect(proxies.view().map(({ open }) => open.get("default/a-1"))).toEqual([2, undefined]);
    expect(warned).toEqual([{ code: "PROXY_ID_DOUBLED", proxy: "p1" }]);
    expect(proxies.ids()).toEqual(["p1"]);
    expect(proxies.object("p1")?.status).toMatchObject({ reason: "PROXY_ID_DOUBLED", services: ["default/a"] });
    hear("a", [], { leaving: true });
    expect(proxies.object("p1")?.status.services).toEqual(["default/b"]);
    now += limits.proxyHeardMs;
    hear("b", ["default/b"]);
    expect(served()).toEqual([["default/b"]]);
    expect(proxies.object("p1")?.status).not.toHaveProperty("reason");
    expect(proxies.object("p1")?.status.services).toEqual(["default/b"]);
  });
});

describe("a proxy", () => {
  it("is heard, and could be told, from its first word on, and anew when nobody could be", () => {
    hear("a", ["default/a"]);
    now += 3000;
    expect(proxies.view()).toMatchObject([{ heardAgoMs: 3000, reachableMs: 3000 }]);
    hear("a", ["default/a"]);
    now += 8000;
    proxies.excuse(7500);
    expect(proxies.view()).toMatchObject([{ heardAgoMs: 500, reachableMs: 0 }]);
    now += 400;
    proxies.excuse(5000);
    expect(proxies.view()).toMatchObject([{ heardAgoMs: 0, reachableMs: 0 }]);
  });

  it("that starts anew is the one shown, without a word, and its last run is forgotten in time", () => {
    hear("a", ["default/a"]);
    hear("b", ["default/a", "default/b"]);
    hear("b", ["default/a", "default/b"]);
    expect(proxies.object("p1")?.status.services).toEqual(["default/a", "default/b"]);
    expect(warned).toEqual([]);
    now += 59_000;
    hear("b", ["default/b"]);
    now += 500;
    expect(served()).toEqual([["default/b"]]);
  });

  it("is not taken back to what an earlier heartbeat of its says that comes late", () => {
    hear("a", ["default/a"], { number: 5, open: { "default/a-1": 3 } });
    hear("a", [], { number: 4, partial: true });
    expect(proxies.view()).toMatchObject([{ heardAgoMs: 500, whole: true, open: new Map([["default/a-1", 3]]) }]);
    hear("b", ["default/a"], { number: 1 });
    expect(served()).toEqual([["default/a"], ["default/a"]]);
  });

  it("of an earlier version, which names no run, is one", () => {
    hear(undefined, ["default/a"], { number: 7 });
    hear(undefined, ["default/b"]);
    expect(served()).toEqual([["default/b"]]);
    expect(changes).toBe(2);
    hear(undefined, [], { leaving: true });
    expect(proxies.ids()).toEqual([]);
    expect(proxies.object("p1")).toBeNull();
  });
});
