// Whether clients reach a service: which proxies serve it, and at which of its ports nobody listens although a proxy should.
// Pure. Called by waits, `get services` and `describe`.
import type { ProxyObject, ProxyRoute, ServiceObject } from "../schemas/generated/types.ts";
import { errorKinds, isCode } from "../services/kernel/errors.ts";

/** Proxies give a sign of life each second; who is silent for longer than this may be gone. */
export const silentMs = 5000;

export interface ServiceReach {
  /** Where clients get in, `host:port`, each once. */
  readonly listens: readonly string[];
  /** Proxies that serve it or are about to, whether or not they can listen. */
  readonly proxies: readonly string[];
  /** `CODE: sentence` where no proxy listens on a port and one says why; else empty. */
  readonly reason: string;
  /** The code of that. */
  readonly code: string;
  /** A sentence where a proxy has not said yet that it listens; else empty. */
  readonly untold: string;
}

type ServicePort = ServiceObject["spec"]["ports"][number];

/** `proxies` is all that proxy.list gives. What no proxy serves is reached by nobody, and nothing is wrong with that. */
export function serviceReach({ metadata, spec }: ServiceObject, proxies: readonly ProxyObject[]): ServiceReach {
  const service = `${metadata.namespace}/${metadata.name}`;
  const heard = proxies.filter(({ status }) => status.heardAgoMs <= silentMs);
  const serving = heard.filter((proxy) => serves(proxy, service));
  const listens = new Set<string>();
  const blocked: { port: number; code: string; by: string }[] = [];
  const untold: { port: number; by: string }[] = [];
  for (const [index, port] of spec.ports.entries()) {
    const told = serving.map((proxy) => ({
      by: proxy.metadata.name,
      proxy,
      route: routeOf(proxy, service, port, index),
    }));
    const open = told.flatMap(({ route }) => route?.listen ?? []);
    for (const place of open) listens.add(place);
    if (open.length > 0) continue;
    const refused = told.find(({ route }) => route?.reason !== undefined);
    const silent = told.find(({ proxy, route }) => route !== undefined || isYetToTell(proxy, service));
    if (refused !== undefined) blocked.push({ port: port.port, code: refused.route?.reason ?? "", by: refused.by });
    else if (silent !== undefined) untold.push({ port: port.port, by: silent.by });
  }
  const [first] = blocked;
  const ports = blocked.map(({ port }) => port).join(", ");
  const [late] = untold;
  return {
    listens: [...listens],
    proxies: serving.map(({ metadata: { name } }) => name),
    code: first?.code ?? "",
    reason: first === undefined ? "" : `${first.code}: no proxy can listen on port ${ports} (tried by ${first.by})`,
    untold: late === undefined ? "" : `proxy ${late.by} has not said yet that it listens on port ${late.port}`,
  };
}

/** What keeps clients out, with the cure of a known code; empty when nothing does. */
export const blockedText = ({ reason, code }: ServiceReach): string =>
  isCode(code) ? `${reason}. ${errorKinds[code].action}` : reason;

function serves({ status }: ProxyObject, service: string): boolean {
  const { services, metrics } = status;
  return (
    metrics?.all === true ||
    services.includes(service) ||
    (metrics?.routes ?? []).some((one) => one.service === service)
  );
}

/** The route of that port; a proxy may have been given the port by number, by name, or none: then it takes the first. */
function routeOf({ status }: ProxyObject, service: string, port: ServicePort, index: number): ProxyRoute | undefined {
  const routes = (status.metrics?.routes ?? []).filter((route) => route.service === service);
  const isMeant = ({ port: chosen }: ProxyRoute): boolean =>
    chosen === undefined ? index === 0 : chosen === String(port.port) || chosen === port.name;
  const meant = routes.filter(isMeant);
  return meant.find(({ listen }) => listen !== undefined) ?? meant[0];
}

/** True when its next message will have a route of that port: it serves all of them, or has told of none yet. */
function isYetToTell({ status }: ProxyObject, service: string): boolean {
  const { metrics } = status;
  if (metrics === undefined) return true;
  // What did not fit into its message may be this one.
  if ((metrics.omitted ?? 0) > 0) return false;
  return metrics.all === true || !metrics.routes.some((route) => route.service === service);
}
