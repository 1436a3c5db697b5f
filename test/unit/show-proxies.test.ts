// What `swain proxy ls` and `describe` tell of backends: no machine, no bus.
import { expect, test } from "vitest";
import type { Client } from "../../cli/client.ts";
import type { Terminal } from "../../cli/command.ts";
import { backendsText, downCode, showProxies } from "../../cli/show-proxies.ts";
import type { ProxyObject } from "../../schemas/generated/types.ts";

const backend = (pod: string, state: string, more: object = {}): object => ({
  pod: `default/${pod}`,
  address: "127.0.0.1:80",
  state,
  open: 0,
  total: 0,
  failed: 0,
  bytesIn: 0,
  bytesOut: 0,
  ...more,
});
const proxyOf = (...backends: object[]): ProxyObject => {
  const counts = { open: 0, total: 0, failed: 0, refused: 0, waiting: 0 };
  const route = { service: "default/web", port: "80", listen: "127.0.0.1:80", ...counts, backends };
  return {
    metadata: { name: "p1" },
    status: { heardAgoMs: 10, services: ["default/web"], metrics: { routes: [route] } },
  } as never;
};

async function listed(proxy: ProxyObject, format: string): Promise<string> {
  let out = "";
  const client = { list: async () => [proxy] } as unknown as Client;
  const print = (text: string) => void (out += text);
  const terminal = { out: print, err: print, color: false } as unknown as Terminal;
  await showProxies(terminal, client, format);
  return out;
}

const failed = { message: "HTTP 404" };
const own = { reason: "BACKEND_IS_PROXY" };

test("where every backend fails its check, each list says that all are used", async () => {
  const proxy = proxyOf(backend("web-1", "down", failed), backend("web-2", "down", failed), backend("x", "down", own));
  expect(await listed(proxy, "table")).toContain("BACKENDS_DOWN: all are used all the same");
  for (const text of [await listed(proxy, "wide"), backendsText([proxy], "default/web", false)]) {
    expect(text.match(/HTTP 404; used all the same \(BACKENDS_DOWN\)/g)).toHaveLength(2);
    expect(text).toMatch(/default\/x .* BACKEND_IS_PROXY *\n/);
  }
  expect(downCode([proxy], "default/web")).toBe("BACKENDS_DOWN");
  expect(downCode([proxy], "default/other")).toBe("");
});

test("two that run under one id are told of, with the cure", async () => {
  const proxy = proxyOf();
  expect(await listed(proxy, "table")).not.toContain("--id");
  const doubled = { ...proxy, status: { ...proxy.status, reason: "PROXY_ID_DOUBLED" } };
  expect(await listed(doubled, "table")).toMatch(/^proxy p1: .* --id.* \(PROXY_ID_DOUBLED\)$/m);
});

test.each([
  ["one serves", backend("web-2", "up")],
  ["one is not checked yet", backend("web-2", "checking")],
  ["one is left out for failed connects alone", backend("web-2", "ejected")],
])("it is not said while %s", async (_when, other) => {
  const proxy = proxyOf(backend("web-1", "down", failed), other);
  expect(await listed(proxy, "table")).not.toContain("BACKENDS_DOWN");
  expect(await listed(proxy, "wide")).toMatch(/down .* HTTP 404 *\n/);
  expect(downCode([proxy], "default/web")).toBe("");
});

test("nor of a route without backends, or with none but itself", async () => {
  for (const proxy of [proxyOf(), proxyOf(backend("x", "down", own)), proxyOf(backend("web-1", "draining"))]) {
    expect(await listed(proxy, "table")).not.toContain("BACKENDS_DOWN");
  }
});
