// Proxies heard lately, what they have applied and what they carry. A proxy nobody hears is waited for by nobody.
import { proxyHeartbeat, proxyMetrics } from "../../../schemas/generated/messages.js";
import type { ProxyHeartbeat, ProxyObject } from "../../../schemas/generated/types.ts";
import type { BusMessage } from "../../bus/port.ts";
import { limits } from "../../bus/limits.ts";
import { idOf } from "../../bus/subjects.ts";
import { same } from "../../core/same.ts";
import type { ProxyView } from "../../core/view.ts";
import type { Code } from "../../kernel/errors.ts";
import type { Context } from "../ports.ts";
import { bodyOf, parseJson } from "../record.ts";
import { isName } from "./names.ts";

/** Long after the planner has stopped waiting for it (`proxyHeardMs`). */
const forgetMs = 60_000;
/** More than any cluster has; keeps a flood of made-up ids from filling the memory. */
const mostBoots = 10_000;
const warnEveryMs = 60_000;
const doubled = "PROXY_ID_DOUBLED" satisfies Code;
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

/** One run of a proxy. */
interface Boot {
  at: number;
  /** Since when it could be told. */
  since: number;
  heard: Heard;
  view: Omit<ProxyView, "heardAgoMs" | "reachableMs">;
}

/** What is heard under one id. Mostly that is one run; two at a time are told of, and pods wait for both. */
interface Proxy {
  readonly boots: Map<string, Boot>;
  /** The run heard last. */
  last: string;
  metrics: Uint8Array | undefined;
  /** When a run was last heard that another had followed. */
  doubledAt: number;
  warnedAt: number;
}

export class Proxies {
  private readonly context: Context;
  private readonly onChange: () => void;
  private readonly proxies = new Map<string, Proxy>();
  /** Runs of all proxies together. */
  private count = 0;
  private metricsBytes = 0;

  /** `onChange` is called when a proxy says something new. */
  constructor(context: Context, onChange: () => void) {
    this.context = context;
    this.onChange = onChange;
  }

  onHeartbeat(message: BusMessage): void {
    const id = idOf(message.subject);
    const heartbeat = bodyOf(message);
    if (!isName(id) || !proxyHeartbeat(heartbeat)) return this.drop();
    const { bootId = "", leaving = false } = heartbeat;
    const known = this.proxies.get(id)?.boots.get(bootId);
    if (leaving) {
      this.forget(id, bootId);
      if (known !== undefined) this.onChange();
      return;
    }
    if (known === undefined && this.count >= mostBoots) return this.drop();
    // It was under way for long, as on a server that stood still: what came since is newer. Runs without a name are told apart by nothing.
    const isOld = bootId !== "" && (heartbeat.number ?? 0) < (known?.heard.number ?? 0);
    if (isOld) return;
    const heard = heardAfter(known?.heard, heartbeat);
    const at = this.context.clock.mono();
    const changed =
      heard.services !== known?.heard.services ||
      heard.whole !== known.heard.whole ||
      !same(heard.open, known.heard.open);
    const view = known === undefined || changed ? viewOf(id, heard) : known.view;
    if (known === undefined) this.add(id, bootId, { at, since: at, heard, view });
    else Object.assign(known, { at, heard, view });
    this.speaks(id, bootId, known !== undefined);
    if (changed) this.onChange();
  }

  /** Keeps the latest of each proxy that is heard, unread until somebody asks. */
  onMetrics(message: BusMessage): void {
    const proxy = this.proxies.get(idOf(message.subject));
    if (proxy === undefined) return;
    const bytes = this.metricsBytes - (proxy.metrics?.length ?? 0) + message.data.length;
    if (bytes > mostMetricsBytes) return this.drop();
    this.metricsBytes = bytes;
    proxy.metrics = message.data.slice();
  }

  /** This process was away for so long: nobody could be heard, nor be told anything. */
  excuse(ms: number): void {
    const now = this.context.clock.mono();
    for (const { boots } of this.proxies.values()) {
      for (const boot of boots.values()) Object.assign(boot, { at: Math.min(now, boot.at + ms), since: now });
    }
  }

  /** Each run of each proxy. */
  view(): ProxyView[] {
    const now = this.context.clock.mono();
    const views: ProxyView[] = [];
    for (const [id, { boots }] of this.proxies) {
      for (const [bootId, { at, since, view }] of boots) {
        if (now - at > forgetMs) this.forget(id, bootId);
        else views.push({ ...view, heardAgoMs: now - at, reachableMs: now - since });
      }
    }
    return views;
  }

  /** Ids of the proxies heard lately, sorted. */
  ids(): string[] {
    return [...new Set(this.view().map(({ id }) => id))].toSorted();
  }

  /** A proxy as the API shows it; null when it is not known. */
  object(id: string): ProxyObject | null {
    const proxy = this.proxies.get(id);
    const boot = proxy?.boots.get(proxy.last);
    if (proxy === undefined || boot === undefined) return null;
    const { metrics: data, doubledAt } = proxy;
    const metrics = data === undefined ? undefined : parseJson(data);
    const now = this.context.clock.mono();
    return {
      apiVersion: "swain/v1",
      kind: "Proxy",
      metadata: { name: id },
      status: {
        heardAgoMs: Math.round(now - boot.at),
        services: Object.keys(boot.heard.services).toSorted(),
        ...(now - doubledAt < limits.proxyHeardMs ? { reason: doubled } : {}),
        ...(proxyMetrics(metrics) ? { metrics } : {}),
      },
    };
  }

  private drop(): void {
    this.context.counters.dropped++;
  }

  private add(id: string, bootId: string, boot: Boot): void {
    const proxy = this.proxies.get(id);
    if (proxy !== undefined) proxy.boots.set(bootId, boot);
    else {
      const boots = new Map([[bootId, boot]]);
      this.proxies.set(id, { boots, last: bootId, metrics: undefined, doubledAt: -Infinity, warnedAt: -Infinity });
    }
    this.count++;
  }

  /** A run that was replaced is heard no more; one that is runs beside another. */
  private speaks(id: string, bootId: string, wasKnown: boolean): void {
    const proxy = this.proxies.get(id);
    if (proxy === undefined || proxy.last === bootId) return;
    proxy.last = bootId;
    if (!wasKnown) return;
    const now = this.context.clock.mono();
    proxy.doubledAt = now;
    if (now - proxy.warnedAt < warnEveryMs) return;
    proxy.warnedAt = now;
    this.context.log.warn("two proxies run under one id", { code: doubled, proxy: id });
  }

  private forget(id: string, bootId: string): void {
    const proxy = this.proxies.get(id);
    if (proxy?.boots.delete(bootId) !== true) return;
    this.count--;
    const [other] = proxy.boots.keys();
    if (other !== undefined) {
      if (proxy.last === bootId) proxy.last = other;
      return;
    }
    this.metricsBytes -= proxy.metrics?.length ?? 0;
    this.proxies.delete(id);
  }
}

function viewOf(id: string, { whole, services, open }: Heard): Boot["view"] {
  const applied = new Map(
    Object.entries(services).map(([key, parts]) => [key, new Map(Object.entries(parts))] as const),
  );
  return { id, whole, applied, open: new Map(Object.entries(open)) };
}
