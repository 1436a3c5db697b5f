// What proxies say of a service, put together: no machine, no bus.
import { expect, test } from "vitest";
import { blockedText, serviceReach } from "../../cli/service-reach.ts";
import type { ServiceReach } from "../../cli/service-reach.ts";
import type { ProxyObject, ServiceObject } from "../../schemas/generated/types.ts";

const service = {
  metadata: { namespace: "default", name: "web" },
  spec: {
    ports: [
      { name: "http", port: 80, targetPort: 80 },
      { name: "admin", port: 81, targetPort: 81 },
    ],
  },
} as ServiceObject;
const route = (port: string | undefined, where: object): object => ({ service: "default/web", port, ...where });
const proxy = (name: string, metrics: object | undefined, status: object = {}): ProxyObject =>
  ({ metadata: { name }, status: { heardAgoMs: 10, services: ["default/web"], metrics, ...status } }) as never;
const reach = (...proxies: ProxyObject[]): ServiceReach => serviceReach(service, proxies);
const open = { listen: "127.0.0.1:80" };
const taken = { reason: "PORT_IN_USE" };

test("a service is reached when each port is listened on by some proxy", () => {
  const both = [route("80", open), route("81", { listen: "127.0.0.1:81" })];
  const first = proxy("p1", { all: true, routes: [both[0], route("81", taken)] });
  expect(reach(first, proxy("p2", { all: true, routes: both }))).toEqual({
    listens: ["127.0.0.1:80", "127.0.0.1:81"],
    proxies: ["p1", "p2"],
    reason: "",
    code: "",
    untold: "",
  });
});

test("a port nobody can listen on is told with its reason and cure", () => {
  const seen = reach(proxy("p1", { all: true, routes: [route("80", taken), route("81", taken)] }));
  expect(seen.reason).toBe("PORT_IN_USE: no proxy can listen on port 80, 81 (tried by p1)");
  expect(blockedText(seen)).toBe(`${seen.reason}. Choose another port, or stop what listens there.`);
});

test("a proxy that has not told of it yet is waited for, unless it cannot tell", () => {
  const told = "proxy p1 has not said yet that it listens on port 80";
  expect(reach(proxy("p1", { all: true, routes: [] }, { services: [] })).untold).toBe(told);
  expect(reach(proxy("p1", undefined)).untold).toBe(told);
  // The port it had before a change of the service.
  expect(reach(proxy("p1", { all: true, routes: [route("79", open)] })).untold).toBe(told);
  expect(reach(proxy("p1", { all: true, routes: [], omitted: 3 })).untold).toBe("");
  expect(reach(proxy("p1", { all: true, routes: [] }, { heardAgoMs: 9000 })).proxies).toEqual([]);
});

test("what no proxy serves has nothing against it, also a single port of it", () => {
  expect(reach()).toMatchObject({ proxies: [], reason: "", untold: "" });
  expect(reach(proxy("p1", { routes: [] }, { services: ["default/api"] }))).toMatchObject({ proxies: [], untold: "" });
  const byName = proxy("p1", { routes: [route("http", open)] });
  expect(reach(byName)).toMatchObject({ listens: ["127.0.0.1:80"], reason: "", untold: "" });
  expect(reach(proxy("p1", { routes: [route(undefined, open)] })).untold).toBe("");
});
