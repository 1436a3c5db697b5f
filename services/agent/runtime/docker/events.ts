// Listens to the engine's events for as long as the agent lives. A lost stream is opened again, and a silent one is
// proved alive by pings, because a frozen engine or a dead network closes no connection.
import type { IncomingMessage } from "node:http";
import { delayMs } from "../../../kernel/backoff.ts";
import { sleep } from "../../../kernel/clock.ts";
import type { Clock } from "../../../kernel/clock.ts";
import type { Logger } from "../../../kernel/log.ts";
import type { DriverEvents, DriverIdentity } from "../driver.ts";
import { statusOf } from "./engine.ts";
import type { Engine } from "./engine.ts";
import { jsonLines } from "./json-lines.ts";
import { isOurs, labels } from "./labels.ts";
import type { LabelMap } from "./labels.ts";
import { pingEvery, timeouts } from "./timeouts.ts";

/** An engine restart takes a second or two; longer waits only delay the news that it is back. */
const reopen = { firstMs: 100, maxMs: 3000, factor: 2 };

/** Events after which a container's state may be another one; Podman asks and answers with other words for some. */
const telling = new Set(["start", "die", "died", "oom", "destroy", "remove"]);

export interface WatchParts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Logger;
  readonly identity: () => DriverIdentity | null;
  /** Told of every event of ours before the listener is. */
  readonly onEvent: (action: string, id: string) => void;
  /** The stream broke, or the engine did not answer the call for it: it may have ended, and containers with it. */
  readonly onAway: () => void;
  /** The engine answered the call for it; told before the listener is. */
  readonly onBack: () => void;
}

/** Runs until the signal aborts; never rejects. */
export async function watchEvents(parts: WatchParts, events: DriverEvents, signal: AbortSignal): Promise<void> {
  let attempt = 0;
  while (!signal.aborted) {
    try {
      const stream = await open(parts, signal);
      if (attempt > 0) parts.log.info("the container engine answers again");
      attempt = 0;
      parts.onBack();
      events.onResync();
      await follow(parts, events, stream, signal);
      parts.onAway();
    } catch (error) {
      if (signal.aborted) return;
      if (statusOf(error) === undefined) parts.onAway();
      else parts.onBack();
      if (attempt === 0) parts.log.warn("lost the container engine's events", { error: String(error) });
      events.onLost?.();
    }
    await sleep(parts.clock, delayMs(reopen, attempt), signal).catch(() => {});
    attempt += 1;
  }
}

function open({ engine }: WatchParts, signal: AbortSignal): Promise<IncomingMessage> {
  // Not by label: the cluster's uid may become known while the stream is open, and Podman knows no filter for the mere
  // presence of a label. Values are compared here.
  const filters = { type: ["container"], event: [...telling] };
  const query = { filters };
  return engine.stream({
    what: "events",
    method: "GET",
    path: "/events",
    query,
    timeout: timeouts.streamOpens,
    signal,
  });
}

async function follow(
  parts: WatchParts,
  events: DriverEvents,
  stream: IncomingMessage,
  signal: AbortSignal,
): Promise<void> {
  const stopPings = ping(parts, stream, signal);
  try {
    for await (const event of jsonLines(stream)) take(parts, events, event);
  } finally {
    stopPings();
    stream.destroy();
  }
}

function take(parts: WatchParts, events: DriverEvents, event: Readonly<Record<string, unknown>>): void {
  const actor = event["Actor"] as { ID?: string; Attributes?: LabelMap } | undefined;
  const action = event["Action"];
  if (typeof action !== "string" || !telling.has(action) || typeof actor?.ID !== "string") return;
  if (!isOurs(actor.Attributes, parts.identity())) return;
  parts.onEvent(action, actor.ID);
  events.onChange(actor.ID, actor.Attributes?.[labels.pod] ?? "");
}

function ping({ engine, clock }: WatchParts, stream: IncomingMessage, signal: AbortSignal): () => void {
  let busy = false;
  return clock.every(pingEvery, () => {
    if (busy) return;
    busy = true;
    engine
      .ask({ what: "ping", method: "GET", path: "/_ping", timeout: timeouts.ping, signal })
      .catch((error: unknown) => stream.destroy(error as Error))
      .finally(() => {
        busy = false;
      });
  });
}
