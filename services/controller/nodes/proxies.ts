// Proxies heard lately, what they have applied and what they carry. A proxy nobody hears is waited for by nobody.
import { proxyHeartbeat, proxyMetrics } from "../../../schemas/generated/messages.js";
import type { ProxyHeartbeat, ProxyObject } from "../../../schemas/generated/types.ts";
import type { BusMessage } from "../../bus/port.ts";
import { idOf } from "../../bus/subjects.ts";
import { same } from "../../core/same.ts";
import type { ProxyView } from "../../core/view.ts";
import type { Context } from "../ports.ts";
import { bodyOf, parseJson } from "../record.ts";
import { isName } from "./names.ts";

/** Long after the planner has stopped waiting for it (`proxyHeardMs`). */
const forgetMs = 60_000;
/** More than any cluster has; keeps a flood of made-up ids from filling the memory. */
const mostProxies = 10_000;
/** Metrics of all proxies together: 100 big ones, or some thousand ordinary ones. */
const mostMetricsBytes = 64 * 1024 * 1024;

/** What the heartbeats of one proxy add up to. */
export interface Heard {
  readonly number: number;
  /** False when a heartbeat may be missing and no whole one came since: then more may be served than is known. */
  readonly whole: boolean;
  readonly services: Readonly<ProxyHeartbeat["services"]>;
  readonly open: Readonly<ProxyHeartbeat["open"]>;
}

/** What is known of a proxy after one more heartbeat. Gives `known.services` itself when no service changed. */
export function heardAfter(known: Heard | undefined, heartbeat: ProxyHeartbeat): Heard {
  const { services, open, number = 0, partial = false, dropped = [] } = heartbeat;
  if (!partial)
    return {
      number,
      whole: true,
      services: same(known?.services, services) ? (known?.services ?? services) : services,
      open,
    };
  const whole = known !== undefined && known.whole && number === known.number + 1;
  if (known !== undefined && dropped.length === 0 && Object.keys(services).length === 0) {
    return { number, whole, services: known.services, open };
  }
  const merged = { ...known?.services, ...services };
  for (const service of dropped) delete merged[service];
  return { number, whole, services: merged, open };
}

interface Proxy {
  at: number;
  heard: Heard;
  view: Omit<ProxyView, "heardAgoMs">;
  metrics: Uint8Array | undefined;
}

export class Proxies {
  private readonly context: Context;
  private readonly onChange: () => void;
  private readonly proxies = new Map<string, Proxy>();
  private metricsBytes = 0;

  /** `onChange` is called when a proxy says something new. */
  constructor(context: Context, onChange: () => void) {
    this.context = context;
    this.onChange = onChange;
  }

  onHeartbeat(message: BusMessage): void {
    const id = idOf(message.subject);
    const known = this.proxies.get(id);
    const heartbeat = bodyOf(message);
    if (!isName(id) || !proxyHeartbeat(heartbeat) || (known === undefined && this.proxies.size >= mostProxies)) {
      this.context.counters.dropped++;
      return;
    }
    if (heartbeat.leaving === true) {
      this.forget(id);
      if (known !== undefined) this.onChange();
      return;
    }
    const heard = heardAfter(known?.heard, heartbeat);
    const at = this.context.clock.mono();
    const changed =
      heard.services !== known?.heard.services ||
      heard.whole !== known.heard.whole ||
      !same(heard.open, known.heard.open);
    const view = known === undefined || changed ? viewOf(id, heard) : known.view;
    if (known === undefined) this.proxies.set(id, { at, heard, view, metrics: undefined });
    else Object.assign(known, { at, heard, view });
    if (changed) this.onChange();
  }

  /** Keeps the latest of each proxy that is heard, unread until somebody asks. */
  onMetrics(message: BusMessage): void {
    const proxy = this.proxies.get(idOf(message.subject));
    if (proxy === undefined) return;
    const bytes = this.metricsBytes - (proxy.metrics?.length ?? 0) + message.data.length;
    if (bytes > mostMetricsBytes) {
      this.context.counters.dropped++;
      return;
    }
    this.metricsBytes = bytes;
    proxy.metrics = message.data.slice();
  }

  view(): ProxyView[] {
    const now = this.context.clock.mono();
    const views: ProxyView[] = [];
    for (const [id, { at, view }] of this.proxies) {
      if (now - at > forgetMs) this.forget(id);
      else views.push({ ...view, heardAgoMs: now - at });
    }
    return views;
  }

  /** Ids of the proxies heard lately, sorted. */
  ids(): string[] {
    return this.view()
      .map(({ id }) => id)
      .toSorted();
  }

  /** A proxy as the API shows it; null when it is not known. */
  object(id: string): ProxyObject | null {
    const proxy = this.proxies.get(id);
    if (proxy === undefined) return null;
    const { at, heard, metrics: data } = proxy;
    const metrics = data === undefined ? undefined : parseJson(data);
    return {
      apiVersion: "swain/v1",
      kind: "Proxy",
      metadata: { name: id },
      status: {
        heardAgoMs: Math.round(this.context.clock.mono() - at),
        services: Object.keys(heard.services).toSorted(),
        ...(proxyMetrics(metrics) ? { metrics } : {}),
      },
    };
  }

  private forget(id: string): void {
    this.metricsBytes -= this.proxies.get(id)?.metrics?.length ?? 0;
    this.proxies.delete(id);
  }
}

function viewOf(id: string, { whole, services, open }: Heard): Proxy["view"] {
  const applied = new Map(
    Object.entries(services).map(([key, parts]) => [key, new Map(Object.entries(parts))] as const),
  );
  return { id, whole, applied, open: new Map(Object.entries(open)) };
}
