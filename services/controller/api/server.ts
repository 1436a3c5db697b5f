// The API's door: from a message to a handler to an answer. Nothing a client sends may do more than get an error back.
import type { BusMessage } from "../../bus/port.ts";
import { limits } from "../../bus/limits.ts";
import { serveMicro } from "../../bus/micro.ts";
import type { MicroStats } from "../../bus/micro.ts";
import { respond, respondError } from "../../bus/respond.ts";
import { didYouMean } from "../../core/nearest.ts";
import type { Cancel } from "../../kernel/clock.ts";
import { SwainError, asSwainError } from "../../kernel/errors.ts";
import { traced, traceOf } from "../../kernel/trace.ts";
import { version } from "../../kernel/version.ts";
import type { Context } from "../ports.ts";
import { isName } from "../nodes/names.ts";
import { bodyOf } from "../record.ts";
import type { ApiHost, Handler } from "./request.ts";
import { handlers } from "./table.ts";

/** Where clients' answers go: the default inbox of operators. */
const clientInbox = "_INBOX.";

interface Call {
  readonly handler: Handler;
  readonly namespace: string | undefined;
}

/** What one verb has served in this term. */
type Use = { -readonly [K in keyof MicroStats]: MicroStats[K] };

/** Names of micro endpoints have no dots. */
const endpointName = (name: string): string => name.replace(".", "-");

export class ApiServer {
  private readonly context: Context;
  private readonly host: ApiHost;
  /** Resolves with false when this controller does not lead any more. */
  private readonly trusted: () => Promise<boolean>;
  private readonly used = new Map<string, Use>();
  private readonly cancels: Cancel[] = [];
  private inFlight = 0;

  constructor(context: Context, host: ApiHost, trusted: () => Promise<boolean>) {
    this.context = context;
    this.host = host;
    this.trusted = trusted;
  }

  start(): void {
    const { bus, subjects } = this.context;
    this.cancels.push(
      bus.subscribe(subjects.apiAll, (message) => void this.serve(message), { drain: true }),
      this.introduce(),
    );
  }

  stop(): void {
    for (const cancel of this.cancels.splice(0)) cancel();
  }

  /** Shows up in `nats micro ls`. */
  private introduce(): Cancel {
    const { bus, subjects, cluster, id, clock } = this.context;
    const endpoints = [...handlers.keys()].map((name) => {
      const [resource = "", verb = ""] = name.split(".");
      return { name: endpointName(name), subject: subjects.api("*", resource, verb) };
    });
    return serveMicro(bus, {
      name: `swain-${cluster}`,
      id,
      version,
      description: `The API of the Swain cluster ${cluster}, served by its leading controller.`,
      endpoints,
      started: clock.wall(),
      stats: () => [...this.used.values()],
    });
  }

  /** Requests being answered. */
  get waiting(): number {
    return this.inFlight;
  }

  private async serve(message: BusMessage): Promise<void> {
    const { bus, counters } = this.context;
    if (message.reply === undefined) {
      counters.dropped++;
      return;
    }
    const started = this.context.clock.mono();
    this.inFlight++;
    try {
      respond(bus, message, clientInbox, await this.tracedAnswer(message, started));
      this.use(message, started);
    } catch (error) {
      const failure = asSwainError(error);
      this.use(message, started, failure);
      this.refuse(message, failure);
    } finally {
      this.inFlight--;
    }
  }

  private tracedAnswer(message: BusMessage, now: number): Promise<unknown> {
    const name = message.subject.split(".").slice(4).join(".");
    const parent = traceOf(message, now);
    return traced(`api ${handlers.has(name) ? name : "other"}`, () => this.answer(message), {
      ...(parent === undefined ? {} : { parent }),
      root: true,
      kind: "server",
    });
  }

  private async answer(message: BusMessage): Promise<unknown> {
    if (this.inFlight > limits.inboxRequests) {
      this.context.counters.busy++;
      throw new SwainError("BUSY", "too many requests wait", { details: { retryAfterMs: 500 } });
    }
    const { handler, namespace } = route(message.subject);
    const body = message.data.length === 0 ? {} : bodyOf(message);
    if (body === undefined) throw new SwainError("INVALID_REQUEST", "the body is not JSON");
    if (!(await this.trusted())) throw new SwainError("NO_LEADER", "this controller does not lead any more");
    return handler(this.host, { namespace, body });
  }

  private use(message: BusMessage, started: number, failure?: SwainError): void {
    const name = message.subject.split(".").slice(4).join(".");
    const { measures, clock } = this.context;
    // Verbs that do not exist share one series: anyone may ask for any.
    measures.requests.add(handlers.has(name) ? name : "other", failure?.code ?? "OK");
    measures.api.add(clock.mono() - started);
    if (!handlers.has(name)) return;
    const use = this.used.get(name) ?? { name: endpointName(name), requests: 0, errors: 0, processingMs: 0 };
    use.requests++;
    use.processingMs += clock.mono() - started;
    if (failure !== undefined) {
      use.errors++;
      use.lastError = `${failure.code}: ${failure.message}`;
    }
    this.used.set(name, use);
  }

  private refuse(message: BusMessage, error: SwainError): void {
    if (error.code === "INVALID_REQUEST") this.context.counters.malformed++;
    if (error.code === "INTERNAL") {
      this.context.log.error("a request failed", { subject: message.subject, message: error.message });
    }
    respondError(this.context.bus, message, clientInbox, error);
  }
}

/** `swain.<cluster>.api.<namespace>.<resource>.<verb>` */
function route(subject: string): Call {
  const [, , , namespace = "", resource = "", verb = "", ...rest] = subject.split(".");
  const name = `${resource}.${verb}`;
  const handler = rest.length === 0 ? handlers.get(name) : undefined;
  if (handler === undefined) {
    const known = [...handlers.keys()];
    throw new SwainError("INVALID_REQUEST", `the API has no ${[name, ...rest].join(".")}${didYouMean(name, known)}`);
  }
  if (namespace !== "_" && !isName(namespace)) {
    throw new SwainError("INVALID_REQUEST", `"${namespace}" is no namespace; "_" stands for none or all`);
  }
  return { handler, namespace: namespace === "_" ? undefined : namespace };
}
