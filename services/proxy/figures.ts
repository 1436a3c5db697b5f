// What a proxy tells about itself: its figures, and when it is healthy and ready. Pure. Figures are kept by service, not by
// pod: pods come and go for ever, and each would leave series behind. `swain proxy ls` shows single backends.
import { counter, figure, gauge } from "../kernel/figures.ts";
import type { Family, Figure, Sample } from "../kernel/figures.ts";
import type { Check } from "../kernel/insight.ts";
import type { BackendState } from "./backend.ts";

/** What one service has carried at this proxy, over all of its ports. */
export interface ServiceView {
  /** `namespace/name` */
  readonly service: string;
  readonly open: number;
  readonly total: number;
  readonly refused: number;
  readonly failed: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly backends: Readonly<Record<BackendState, number>>;
}

/** One look at a proxy. */
export interface ProxyView {
  readonly isConnected: boolean;
  /** Endpoints are known, from the bus or from the last run. */
  readonly isLoaded: boolean;
  readonly isOver: boolean;
  readonly connections: number;
  readonly listenersWanted: number;
  readonly listenersOpen: number;
  readonly services: readonly ServiceView[];
}

/** With more services the rest is counted together, as service "other". */
const servicesMost = 500;

const service = ["service"];
const families = {
  connected: gauge("swain_proxy_connected", "1 while the proxy is connected to the bus, else 0."),
  connections: gauge("swain_proxy_connections", "Client connections open."),
  listeners: gauge("swain_proxy_listeners", "Listening sockets; missing are those whose port is taken.", ["state"]),
  open: gauge("swain_proxy_service_connections", "Client connections open, by service.", service),
  total: counter("swain_proxy_service_connections_total", "Client connections taken.", service),
  refused: counter("swain_proxy_service_refused_total", "Connections closed because a limit was reached.", service),
  failed: counter("swain_proxy_service_failed_total", "Connections closed because no backend took them.", service),
  bytes: counter("swain_proxy_service_bytes_total", "Bytes of finished connections; in = from clients.", [
    "service",
    "direction",
  ]),
  backends: gauge("swain_proxy_service_backends", "Backends by state.", ["service", "state"]),
} satisfies Record<string, Family>;

/** All families, for documents and tests. */
export const proxyFamilies: readonly Family[] = Object.values(families);

export function proxyFigures(view: ProxyView): Figure[] {
  const services = bounded(view.services);
  const each = (family: Family, value: (one: ServiceView) => number): Figure => ({
    family,
    samples: services.map((one) => ({ labels: { service: one.service }, value: value(one) })),
  });
  const listeners: Sample[] = [
    { labels: { state: "open" }, value: view.listenersOpen },
    { labels: { state: "missing" }, value: view.listenersWanted - view.listenersOpen },
  ];
  return [
    figure(families.connected, view.isConnected ? 1 : 0),
    figure(families.connections, view.connections),
    { family: families.listeners, samples: listeners },
    each(families.open, (one) => one.open),
    each(families.total, (one) => one.total),
    each(families.refused, (one) => one.refused),
    each(families.failed, (one) => one.failed),
    {
      family: families.bytes,
      samples: services.flatMap((one) => [
        { labels: { service: one.service, direction: "in" }, value: one.bytesIn },
        { labels: { service: one.service, direction: "out" }, value: one.bytesOut },
      ]),
    },
    {
      family: families.backends,
      samples: services.flatMap((one) =>
        Object.entries(one.backends).map(([state, value]) => ({ labels: { service: one.service, state }, value })),
      ),
    },
  ];
}

function bounded(services: readonly ServiceView[]): readonly ServiceView[] {
  if (services.length <= servicesMost) return services;
  const rest = services.slice(servicesMost).reduce((sum, one) => ({
    service: "other",
    open: sum.open + one.open,
    total: sum.total + one.total,
    refused: sum.refused + one.refused,
    failed: sum.failed + one.failed,
    bytesIn: sum.bytesIn + one.bytesIn,
    bytesOut: sum.bytesOut + one.bytesOut,
    backends: {
      up: sum.backends.up + one.backends.up,
      checking: sum.backends.checking + one.backends.checking,
      down: sum.backends.down + one.backends.down,
      ejected: sum.backends.ejected + one.backends.ejected,
      draining: sum.backends.draining + one.backends.draining,
    },
  }));
  return [...services.slice(0, servicesMost), { ...rest, service: "other" }];
}

/** Healthy: its loop runs. It serves without the bus. */
export function proxyHealth({ isOver }: Pick<ProxyView, "isOver">): Check[] {
  return [{ name: "loop", ok: !isOver, message: isOver ? "the proxy has ended" : "runs" }];
}

/** Ready: it listens wherever it should and knows endpoints. It needs no bus for that. */
export function proxyReady(
  view: Pick<ProxyView, "isConnected" | "isLoaded" | "listenersWanted" | "listenersOpen">,
): Check[] {
  const { isConnected, isLoaded, listenersWanted, listenersOpen } = view;
  const endpoints = isLoaded ? `known${isConnected ? "" : ", the bus is away"}` : "not loaded yet";
  return [
    {
      name: "listeners",
      ok: listenersOpen === listenersWanted,
      message: `${listenersOpen} of ${listenersWanted} listen`,
    },
    { name: "endpoints", ok: isLoaded, message: endpoints },
  ];
}
