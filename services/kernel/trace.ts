// Traces over all parts, by the OpenTelemetry API: W3C trace context goes with messages as the header `traceparent`. The
// API does nothing by itself: a user loads an SDK (`NODE_OPTIONS=--import …`), and only then is the API loaded at all, so
// that without one a call costs an `if`.
import type { Attributes, Context } from "@opentelemetry/api";

/** Where in a trace something happens; undefined outside of any. */
export type Trace = Context | undefined;

type Headers = Readonly<Record<string, string>>;

interface SpanOptions {
  /** Undefined = the one that is active. */
  readonly parent?: Trace;
  /** Begins a trace where there is none; without it, no trace means no span. */
  readonly root?: boolean;
  readonly kind?: "server" | "client";
  readonly attributes?: Attributes;
  /** Monotonic milliseconds; in a trace that is over by then there is no span. */
  readonly now?: number;
}

/** A message's work belongs to its trace for so long: what runs on for ever because of it, does so for itself. */
const traceMs = 60_000;

// An SDK registers itself under this name, whichever version of the API it brought along.
const api = Symbol.for("opentelemetry.js.api.1") in globalThis ? await import("@opentelemetry/api") : undefined;
const untilKey = api?.createContextKey("swain.until");

const isOver = (context: Context, now: number): boolean =>
  untilKey !== undefined && ((context.getValue(untilKey) as number | undefined) ?? Infinity) < now;

/** The trace that is active here. */
export function activeTrace(): Trace {
  if (api === undefined) return undefined;
  const context = api.context.active();
  return api.trace.getSpan(context) === undefined ? undefined : context;
}

/** Runs work as part of a trace. */
export function inTrace<T>(trace: Trace, work: () => T): T {
  return api === undefined || trace === undefined ? work() : api.context.with(trace, work);
}

/** Headers with the active trace; the same headers where there is none. `now`: monotonic milliseconds. */
export function tracedHeaders(headers: Headers | undefined, now: number): Headers | undefined {
  if (api === undefined) return headers;
  const context = api.context.active();
  if (api.trace.getSpan(context) === undefined || isOver(context, now)) return headers;
  const carrier: Record<string, string> = {};
  api.propagation.inject(context, carrier);
  return { ...carrier, ...headers };
}

/** The trace a message belongs to, from its headers. */
export function traceOf(message: { header(name: string): string | undefined }, now: number): Trace {
  if (api === undefined || untilKey === undefined) return undefined;
  const context = api.propagation.extract(api.ROOT_CONTEXT, message, {
    get: (carrier, key) => carrier.header(key),
    keys: () => [],
  });
  return api.trace.getSpan(context) === undefined ? undefined : context.setValue(untilKey, now + traceMs);
}

/** Runs work in a span of that name; one that rejects is marked as failed. */
export async function traced<T>(name: string, work: () => T | Promise<T>, options: SpanOptions = {}): Promise<T> {
  if (api === undefined) return work();
  const { parent = api.context.active(), root = false, kind, attributes = {}, now } = options;
  const hasParent = api.trace.getSpan(parent) !== undefined;
  if ((!hasParent && !root) || (now !== undefined && isOver(parent, now))) return work();
  const kinds = { server: api.SpanKind.SERVER, client: api.SpanKind.CLIENT };
  const span = api.trace
    .getTracer("swain")
    .startSpan(name, { kind: kind === undefined ? api.SpanKind.INTERNAL : kinds[kind], attributes }, parent);
  try {
    return await api.context.with(api.trace.setSpan(parent, span), work);
  } catch (error) {
    span.setStatus({ code: api.SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
    throw error;
  } finally {
    span.end();
  }
}
