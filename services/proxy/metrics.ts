// What a proxy says about its traffic: one message of bounded size, made of its routes and connections.
import type { ProxyBackend, ProxyMetrics, ProxyRoute } from "../../schemas/generated/types.ts";
import type { Backend } from "./backend.ts";
import type { Connections } from "./connections.ts";
import { proxyLimits } from "./limits.ts";
import type { Listeners } from "./listeners.ts";
import type { Route } from "./route.ts";

/** `now` is monotonic, `time` milliseconds since 1970. */
export function metricsOf(
  routes: Iterable<Route>,
  connections: Connections,
  listeners: Listeners,
  now: number,
  time: number,
): ProxyMetrics {
  const draining = connections.draining();
  const carried = connections.carriedBy();
  const told: ProxyRoute[] = [];
  let left: number = proxyLimits.metricsEntries;
  let omitted = 0;
  for (const route of new Set([...routes, ...draining.values()])) {
    const gone = [...draining].flatMap(([backend, its]) => (its === route ? [backend] : []));
    const backends = [...route.rotation.all, ...gone];
    if (left <= 0) {
      omitted += 1 + backends.length;
      continue;
    }
    const shown = backends.slice(0, left - 1);
    left -= 1 + shown.length;
    omitted += backends.length - shown.length;
    told.push(
      routeOf(
        route,
        listeners,
        shown.map((backend) => backendOf(backend, carried.get(backend), now)),
      ),
    );
  }
  return { time, routes: told, ...(omitted === 0 ? {} : { omitted }) };
}

function routeOf(route: Route, listeners: Listeners, backends: ProxyBackend[]): ProxyRoute {
  const { service, choice, load, line } = route;
  const { open, total, failed, refused } = load;
  return {
    service,
    ...(choice === undefined ? {} : { port: String(choice) }),
    ...listeners.where(route),
    open,
    total,
    failed,
    refused,
    waiting: load.line.size + line.size,
    backends,
  };
}

function backendOf(backend: Backend, live: { in: number; out: number } | undefined, now: number): ProxyBackend {
  const { pod, address, open, total, failed, bytesIn, bytesOut, checkFailure, health } = backend;
  return {
    pod,
    address,
    state: backend.state(now),
    open,
    total,
    failed,
    bytesIn: bytesIn + (live?.in ?? 0),
    bytesOut: bytesOut + (live?.out ?? 0),
    ...(backend.barredUntil > now ? { reason: "BACKEND_IS_PROXY" } : {}),
    ...(checkFailure === "" || health === undefined ? {} : { message: checkFailure.slice(0, 200) }),
  };
}
