// `swain proxy ls`: what the proxies of the cluster serve, where, and how their backends fare.
import type { ProxyBackend, ProxyObject, ProxyRoute } from "../schemas/generated/types.ts";
import { errorKinds } from "../services/kernel/errors.ts";
import type { Code } from "../services/kernel/errors.ts";
import type { Client } from "./client.ts";
import { table } from "./output/table.ts";
import type { Cell } from "./output/table.ts";
import { ageText, memoryText } from "./output/units.ts";
import type { Terminal } from "./command.ts";
import { silentMs } from "./service-reach.ts";

const text = (value: string | number): Cell => ({ text: String(value) });
const nothing = text("-");

/** Prints the proxies the leader hears; `wide` shows each backend. Throws what the request throws. */
export async function showProxies(terminal: Terminal, client: Client, format: string): Promise<void> {
  const proxies = (await client.list("_", "proxy")) as unknown as ProxyObject[];
  if (format === "json") {
    terminal.out(`${JSON.stringify({ items: proxies }, null, 2)}\n`);
    return;
  }
  if (proxies.length === 0) {
    terminal.err("No proxies: start one with `swain proxy`.\n");
    return;
  }
  const wide = format === "wide";
  const rows = proxies.flatMap(wide ? wideRows : routeRows);
  terminal.out(table(wide ? backendHeadings : routeHeadings, rows, terminal.color));
  const omitted = proxies.reduce((sum, { status }) => sum + (status.metrics?.omitted ?? 0), 0);
  for (const { metadata, status } of proxies) {
    if (status.reason === doubled) terminal.err(`proxy ${metadata.name}: ${errorKinds[doubled].action} (${doubled})\n`);
  }
  if (omitted > 0) terminal.err(`${omitted} more routes and backends did not fit into the proxies' messages.\n`);
}

/** Each backend of one service at each proxy, indented, for a story; empty when no proxy has told of it. */
export function backendsText(proxies: readonly ProxyObject[], service: string, color: boolean): string {
  const rows = proxies.flatMap((proxy) => {
    const routes = (proxy.status.metrics?.routes ?? []).filter((route) => route.service === service);
    return routes.length === 0 ? [] : backendRows(proxy.metadata.name, routes);
  });
  const shown = rows.slice(0, shownBackends).map((row) => [text(""), ...row]);
  if (shown.length === 0) return "";
  const more = rows.length > shown.length ? `  … and ${rows.length - shown.length} more: swain proxy ls -o wide\n` : "";
  return `${table(["", ...backendHeadings], shown, color)}${more}`;
}

/**
 * True when every backend of the route fails its check, so that the proxy uses them all the same. Those it is barred from, for
 * one its own address, are down for another reason and stay unused.
 */
function isAllDown({ backends }: ProxyRoute): boolean {
  const asked = backends.filter(({ state, reason }) => state !== "draining" && reason === undefined);
  return asked.length > 0 && asked.every(({ state }) => state === "down");
}

/** `BACKENDS_DOWN` when some proxy says so of the service, else empty. */
export function downCode(proxies: readonly ProxyObject[], service: string): string {
  const routes = proxies.flatMap(({ status }) => status.metrics?.routes ?? []);
  return routes.some((route) => route.service === service && isAllDown(route)) ? allDown : "";
}

const doubled = "PROXY_ID_DOUBLED" satisfies Code;
const allDown = "BACKENDS_DOWN" satisfies Code;

/** As many as pods in a story. */
const shownBackends = 20;

const routeHeadings = [
  "PROXY",
  "HEARD",
  "SERVICE",
  "LISTENS",
  "BACKENDS",
  "OPEN",
  "TOTAL",
  "FAILED",
  "REFUSED",
  "WAITING",
  "REASON",
];

function routeRows(proxy: ProxyObject): Cell[][] {
  const first = [text(proxy.metadata.name), heard(proxy)];
  const routes = proxy.status.metrics?.routes ?? [];
  // What it serves is known a few seconds before what it carries.
  if (routes.length === 0) return [[...first, text(proxy.status.services.join(",") || "-"), nothing]];
  return routes.map((route) => {
    const { open, total, failed, refused, waiting } = route;
    return [
      ...first,
      named(route),
      listens(route),
      backends(route),
      ...[open, total, failed, refused, waiting].map(text),
      reasonOf(route, isAllDown(route) ? `${allDown}: all are used all the same` : ""),
    ];
  });
}

const backendHeadings = [
  "PROXY",
  "SERVICE",
  "LISTENS",
  "BACKEND",
  "ADDRESS",
  "STATE",
  "OPEN",
  "TOTAL",
  "FAILED",
  "IN",
  "OUT",
  "REASON",
];

function wideRows({ metadata, status }: ProxyObject): Cell[][] {
  const routes = status.metrics?.routes ?? [];
  if (routes.length === 0) return [[text(metadata.name), text(status.services.join(",") || "-"), nothing]];
  return backendRows(metadata.name, routes);
}

function backendRows(proxy: string, routes: readonly ProxyRoute[]): Cell[][] {
  return routes.flatMap((route) => {
    const first = [text(proxy), named(route), listens(route)];
    const blank = Array.from({ length: backendHeadings.length - first.length - 1 }, () => nothing);
    if (route.backends.length === 0) return [[...first, ...blank, reasonOf(route)]];
    const isUsed = isAllDown(route);
    return route.backends.map((backend) => [
      ...first,
      text(backend.pod),
      text(backend.address),
      stateOf(backend),
      ...[backend.open, backend.total, backend.failed].map(text),
      text(memoryText(backend.bytesIn)),
      text(memoryText(backend.bytesOut)),
      reasonOf(route, backend.reason ?? checkText(backend, isUsed)),
    ]);
  });
}

/** What the last check said; `isUsed` although it failed. */
const checkText = ({ state, message = "" }: ProxyBackend, isUsed: boolean): string =>
  isUsed && state === "down"
    ? [message, `used all the same (${allDown})`].filter((part) => part !== "").join("; ")
    : message;

function heard({ status }: ProxyObject): Cell {
  const age = `${ageText(status.heardAgoMs)} ago`;
  return status.heardAgoMs > silentMs ? { text: age, style: "warn" } : text(age);
}

const named = ({ service, port }: ProxyRoute): Cell => text(port === undefined ? service : `${service}:${port}`);

const listens = ({ listen }: ProxyRoute): Cell => (listen === undefined ? { text: "-", style: "bad" } : text(listen));

/** Why it does not listen, and what is wrong with its backends. */
const reasonOf = ({ listen, reason = "" }: ProxyRoute, message = ""): Cell => {
  const why = listen === undefined ? reason : "";
  const both = [why, message].filter((part) => part !== "").join("; ");
  return why === "" ? text(both) : { text: both, style: "bad" };
};

/** Those that serve, of all. */
function backends({ backends }: ProxyRoute): Cell {
  const serving = backends.filter(({ state }) => state === "up").length;
  const all = backends.filter(({ state }) => state !== "draining").length;
  return { text: `${serving}/${all}`, style: serving === 0 ? "bad" : serving < all ? "warn" : "good" };
}

const stateStyles: Readonly<Record<string, Cell["style"]>> = { up: "good", down: "bad", ejected: "bad" };

const stateOf = ({ state }: ProxyBackend): Cell => ({ text: state, style: stateStyles[state] ?? "warn" });
