// The NATS micro protocol, so that `nats micro ls|ping|info|stats` show a process. Only the talking about itself: the
// endpoints are served by whoever listens on their subjects.
import type { Cancel } from "../kernel/clock.ts";
import type { Bus } from "./port.ts";
import { respond } from "./respond.ts";

interface MicroEndpoint {
  readonly name: string;
  readonly subject: string;
  readonly queueGroup?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Counters of one endpoint since the start. */
export interface MicroStats {
  /** Name of an endpoint. */
  readonly name: string;
  readonly requests: number;
  readonly errors: number;
  readonly lastError?: string;
  /** Sum over all requests, milliseconds. */
  readonly processingMs: number;
}

export interface MicroService {
  /** Letters, digits, `-` and `_`. */
  readonly name: string;
  /** Unique among the instances of the name; one token. */
  readonly id: string;
  /** Semantic version. */
  readonly version: string;
  readonly description: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly endpoints: readonly MicroEndpoint[];
  /** When the service began to serve, milliseconds since 1970. */
  readonly started: number;
  /** Asked for each request; endpoints left out count as unused. */
  stats(): readonly MicroStats[];
}

const verbs = ["PING", "INFO", "STATS"] as const;
type Verb = (typeof verbs)[number];

/** The tools that ask use ordinary inboxes. */
const askers = "_INBOX.";

/** Answers `$SRV.<verb>`, `$SRV.<verb>.<name>` and `$SRV.<verb>.<name>.<id>` until cancelled. */
export function serveMicro(bus: Bus, service: MicroService): Cancel {
  const answers: Readonly<Record<Verb, () => unknown>> = {
    PING: () => identity(service, "ping"),
    INFO: () => info(service),
    STATS: () => stats(service),
  };
  const cancels = verbs.flatMap((verb) =>
    [`$SRV.${verb}`, `$SRV.${verb}.${service.name}`, `$SRV.${verb}.${service.name}.${service.id}`].map((subject) =>
      bus.subscribe(subject, (message) => void respond(bus, message, askers, answers[verb]())),
    ),
  );
  return () => {
    for (const cancel of cancels) cancel();
  };
}

function identity(service: MicroService, kind: "ping" | "info" | "stats"): object {
  const { name, id, version, metadata = {} } = service;
  return { type: `io.nats.micro.v1.${kind}_response`, name, id, version, metadata };
}

function info(service: MicroService): object {
  return {
    ...identity(service, "info"),
    description: service.description,
    endpoints: service.endpoints.map(({ name, subject, queueGroup = "", metadata = {} }) => ({
      name,
      subject,
      queue_group: queueGroup,
      metadata,
    })),
  };
}

function stats(service: MicroService): object {
  const counted = new Map(service.stats().map((one) => [one.name, one]));
  return {
    ...identity(service, "stats"),
    started: new Date(service.started).toISOString(),
    endpoints: service.endpoints.map(({ name, subject, queueGroup = "" }) => {
      const { requests = 0, errors = 0, lastError = "", processingMs = 0 } = counted.get(name) ?? {};
      const nanos = Math.round(processingMs * 1_000_000);
      return {
        name,
        subject,
        queue_group: queueGroup,
        num_requests: requests,
        num_errors: errors,
        last_error: lastError,
        processing_time: nanos,
        average_processing_time: requests === 0 ? 0 : Math.round(nanos / requests),
      };
    }),
  };
}
