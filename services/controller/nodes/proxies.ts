// Proxies heard lately, and what they have applied. A proxy nobody hears is waited for by nobody.
import { proxyHeartbeat } from "../../../schemas/generated/messages.js";
import type { ProxyHeartbeat } from "../../../schemas/generated/types.ts";
import type { BusMessage } from "../../bus/port.ts";
import { idOf } from "../../bus/subjects.ts";
import type { ProxyView } from "../../core/view.ts";
import type { Context } from "../ports.ts";
import { bodyOf, sameBytes } from "../record.ts";

/** Long after the planner has stopped waiting for it (`proxyHeardMs`). */
const forgetMs = 60_000;
/** More than any cluster has; keeps a flood of made-up ids from filling the memory. */
const mostProxies = 10_000;

interface Proxy {
  at: number;
  data: Uint8Array;
  readonly applied: Map<string, ReadonlyMap<string, number>>;
  readonly open: Map<string, number>;
}

export class Proxies {
  private readonly context: Context;
  private readonly onChange: () => void;
  private readonly proxies = new Map<string, Proxy>();

  /** `onChange` is called when a proxy says something new. */
  constructor(context: Context, onChange: () => void) {
    this.context = context;
    this.onChange = onChange;
  }

  onHeartbeat(message: BusMessage): void {
    const id = idOf(message.subject);
    const at = this.context.clock.mono();
    const known = this.proxies.get(id);
    if (known !== undefined && sameBytes(known.data, message.data)) {
      known.at = at;
      return;
    }
    const heartbeat = bodyOf(message);
    if (!proxyHeartbeat(heartbeat) || (known === undefined && this.proxies.size >= mostProxies)) {
      this.context.counters.dropped++;
      return;
    }
    this.proxies.set(id, { at, data: message.data.slice(), ...partsOf(heartbeat) });
    this.onChange();
  }

  view(): ProxyView[] {
    const now = this.context.clock.mono();
    const views: ProxyView[] = [];
    for (const [id, { at, applied, open }] of this.proxies) {
      if (now - at > forgetMs) this.proxies.delete(id);
      else views.push({ id, heardAgoMs: now - at, applied, open });
    }
    return views;
  }
}

function partsOf({ services, open }: ProxyHeartbeat): Pick<Proxy, "applied" | "open"> {
  const applied = new Map(
    Object.entries(services).map(([key, parts]) => [key, new Map(Object.entries(parts))] as const),
  );
  return { applied, open: new Map(Object.entries(open)) };
}
