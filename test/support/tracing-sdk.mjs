// A tiny OpenTelemetry SDK, loaded into a part with `node --import`: it appends every ended span as a line of JSON to the file
// SWAIN_TEST_SPANS. Written against the API alone, as any SDK is.
import { AsyncLocalStorage } from "node:async_hooks";
import { randomBytes } from "node:crypto";
import { appendFileSync } from "node:fs";
import { context, propagation, ROOT_CONTEXT, trace } from "@opentelemetry/api";

const file = process.env["SWAIN_TEST_SPANS"];
const storage = new AsyncLocalStorage();

context.setGlobalContextManager({
  active: () => storage.getStore() ?? ROOT_CONTEXT,
  with: (active, work, self, ...args) => storage.run(active, () => work.apply(self, args)),
  bind: (active, target) =>
    typeof target === "function" ? (...args) => storage.run(active, () => target(...args)) : target,
  enable: () => storage,
  disable: () => storage,
});

propagation.setGlobalPropagator({
  fields: () => ["traceparent"],
  inject(active, carrier, setter) {
    const span = trace.getSpanContext(active);
    if (span !== undefined) setter.set(carrier, "traceparent", `00-${span.traceId}-${span.spanId}-01`);
  },
  extract(active, carrier, getter) {
    const [version, traceId, spanId] = String(getter.get(carrier, "traceparent") ?? "").split("-");
    if (version !== "00" || traceId?.length !== 32 || spanId?.length !== 16) return active;
    return trace.setSpanContext(active, { traceId, spanId, traceFlags: 1, isRemote: true });
  },
});

function startSpan(name, options = {}, parentContext = context.active()) {
  const parent = trace.getSpanContext(parentContext);
  const ids = { traceId: parent?.traceId ?? randomBytes(16).toString("hex"), spanId: randomBytes(8).toString("hex") };
  const span = {
    name,
    kind: options.kind,
    ...ids,
    parentId: parent?.spanId,
    attributes: options.attributes,
    error: false,
  };
  const self = {
    spanContext: () => ({ ...ids, traceFlags: 1 }),
    setStatus: ({ code }) => {
      span.error = code === 2;
      return self;
    },
    isRecording: () => true,
    end: () => appendFileSync(file, `${JSON.stringify(span)}\n`),
  };
  return self;
}

trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan }) });
