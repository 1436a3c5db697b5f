// The CLI's end of the API: one connection, requests that survive a failover, lists in pages. Loaded only by commands
// that talk to a cluster, because it loads the NATS client.
import type { Accepted, ApiError } from "../schemas/generated/types.ts";
import { connectBus } from "../services/bus/connect.ts";
import { limits } from "../services/bus/limits.ts";
import type { Bus, BusMessage } from "../services/bus/port.ts";
import { subjectsOf } from "../services/bus/subjects.ts";
import type { Subjects } from "../services/bus/subjects.ts";
import { nearest } from "../services/core/nearest.ts";
import { jitteredMs } from "../services/kernel/backoff.ts";
import { sleep } from "../services/kernel/clock.ts";
import type { Clock } from "../services/kernel/clock.ts";
import { isCode, SwainError } from "../services/kernel/errors.ts";
import type { Code } from "../services/kernel/errors.ts";
import type { Ids, Random } from "../services/kernel/ids.ts";
import { silent } from "../services/kernel/log.ts";
import { traced } from "../services/kernel/trace.ts";
import { systemClock } from "../services/kernel/node/clock.ts";
import { systemIds, systemRandom } from "../services/kernel/node/ids.ts";
import { untilAborted } from "./abort.ts";
import type { Call } from "./command.ts";
import { resolveSettings } from "./settings.ts";

/** Any object of the API: a pod, a workload, a feed event. */
export type ApiObject = Readonly<Record<string, unknown>>;

interface Named {
  readonly name: string;
  readonly namespace?: string;
}

interface ListOptions {
  /** Only what is of that name. */
  readonly name?: string;
  /** Answer only from a state at least this new. */
  readonly minSeq?: number;
}

interface GetOptions extends Pick<ListOptions, "minSeq"> {
  /** For how long a leader is looked for; as long as a failover may take, unless the caller has less time. */
  readonly retryMs?: number;
}

export interface ClientParts {
  readonly bus: Bus;
  readonly cluster: string;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly random: Random;
  readonly signal: AbortSignal;
  /** Told once per request that has to wait for a leader. */
  readonly onWaiting?: (code: Code) => void;
}

/** Answers that may be different a moment later: a failover, a restart of the server, a full queue. */
const waitedFor: ReadonlySet<Code> = new Set(["NO_LEADER", "TIMEOUT", "BUSY", "NATS_UNREACHABLE"]);
const retry = { firstMs: 100, maxMs: 1000, factor: 2 };
const connectTimeoutMs = 5000;
const hintMs = 1000;
/** A list longer than this has a server that never ends it: 10,000 pages of 256 KiB are 2.5 GB. */
const maxPages = 10_000;
/** A page looks through some thousand records; events of one name that are rarer than this are not worth the wait. */
const maxEventPages = 50;

export class Client {
  readonly bus: Bus;
  readonly cluster: string;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly subjects: Subjects;
  readonly signal: AbortSignal;
  private readonly parts: ClientParts;

  constructor(parts: ClientParts) {
    this.parts = parts;
    this.bus = parts.bus;
    this.cluster = parts.cluster;
    this.clock = parts.clock;
    this.ids = parts.ids;
    this.signal = parts.signal;
    this.subjects = subjectsOf(parts.cluster);
  }

  /** A change: the same operation id goes with every try, so that it happens once. */
  async change(namespace: string, resource: string, verb: string, body: object): Promise<Accepted> {
    try {
      const ask = (): Promise<Record<string, unknown>> =>
        this.ask(namespace, resource, verb, { operation: this.ids.next(), ...body }, limits.changeTimeoutMs);
      return (await traced(`swain ${resource}.${verb}`, ask, { root: true, kind: "client" })) as Accepted;
    } catch (error) {
      const { name } = body as { name?: unknown };
      throw typeof name === "string" ? await this.withNearest(error, namespace, resource, name) : error;
    }
  }

  /** One object. Throws NOT_FOUND with the nearest name. */
  async get(namespace: string, resource: string, name: string, how: GetOptions = {}): Promise<ApiObject> {
    try {
      return await this.one(namespace, resource, name, how);
    } catch (error) {
      throw await this.withNearest(error, namespace, resource, name);
    }
  }

  /** One object, or null when it is not there. */
  async find(namespace: string, resource: string, name: string, how: GetOptions = {}): Promise<ApiObject | null> {
    try {
      return await this.one(namespace, resource, name, how);
    } catch (error) {
      if (error instanceof SwainError && error.code === "NOT_FOUND") return null;
      throw error;
    }
  }

  /** All objects, page by page; `namespace` is `_` for all of them. */
  async list(
    namespace: string,
    resource: string,
    options: ListOptions = {},
    verb: "list" | "top" | "history" = "list",
  ): Promise<ApiObject[]> {
    const items: ApiObject[] = [];
    let after: string | undefined;
    for (let page = 0; page < maxPages; page++) {
      const reply = await this.ask(namespace, resource, verb, after === undefined ? options : { ...options, after });
      items.push(...itemsOf(reply));
      const { next } = reply;
      if (typeof next !== "string" || next === after) break;
      after = next;
    }
    return items;
  }

  /**
   * The last events, newest last; of one object by name. Pages go back in time. `onCut` is told up to where the log was cut,
   * when there were fewer because of that.
   */
  async events(
    namespace: string,
    last: number,
    name: string | undefined,
    onCut?: (sequence: number) => void,
  ): Promise<ApiObject[]> {
    const items: ApiObject[] = [];
    let after: string | undefined;
    for (let page = 0; page < maxEventPages && items.length < last; page++) {
      const limit = Math.min(1000, last - items.length);
      const of = name === undefined ? {} : { name };
      const reply = await this.ask(namespace, "event", "list", {
        limit,
        ...of,
        ...(after === undefined ? {} : { after }),
      });
      items.unshift(...itemsOf(reply));
      const { next, cut } = reply;
      if (typeof cut === "number" && cut > 0) onCut?.(cut);
      if (typeof next !== "string" || next === after) break;
      after = next;
    }
    return items.slice(-last);
  }

  /**
   * A request to the leader. Retries what a failover explains, for `retryMs`, each try for `tryMs`.
   * Throws the error the leader answered, or NO_LEADER, TIMEOUT, NATS_DENIED, NATS_UNREACHABLE.
   */
  async ask(
    namespace: string,
    resource: string,
    verb: string,
    body: object,
    tryMs: number = limits.requestTimeoutMs,
    retryMs: number = limits.clientRetryMs,
  ): Promise<Record<string, unknown>> {
    const { clock, random, signal, onWaiting } = this.parts;
    const subject = this.subjects.api(namespace, resource, verb);
    const until = clock.mono() + retryMs;
    /** What became of a change that was sent then is not known, whatever later tries say: it may be carried out yet. */
    let unanswered: SwainError | undefined;
    for (let attempt = 0; ; attempt++) {
      const left = until - clock.mono();
      try {
        const timeoutMs = Math.max(100, Math.min(tryMs, left));
        return answerOf(await untilAborted(this.bus.request(subject, body, { timeoutMs }), signal));
      } catch (error) {
        if (!(error instanceof SwainError) || !waitedFor.has(error.code)) throw error;
        if (error.code === "TIMEOUT" && "operation" in body) unanswered = error;
        const asked = error.details.retryAfterMs;
        const wait = Math.max(typeof asked === "number" ? asked : 0, jitteredMs(retry, attempt, random));
        if (clock.mono() + wait >= until) throw unanswered ?? error;
        if (attempt === 3) onWaiting?.(error.code);
        await sleep(clock, wait, signal);
      }
    }
  }

  private async one(
    namespace: string,
    resource: string,
    name: string,
    { minSeq, retryMs }: GetOptions,
  ): Promise<ApiObject> {
    const body = minSeq === undefined ? { name } : { name, minSeq };
    const reply = await this.ask(namespace, resource, "get", body, limits.requestTimeoutMs, retryMs);
    const item = itemsOf(reply)[0];
    if (item === undefined) throw new SwainError("NOT_FOUND", `there is no ${resource} ${name}`);
    return item;
  }

  /** An object that is not there, with the name that was meant or the namespace it is in; any other error as it is. */
  private async withNearest(error: unknown, namespace: string, resource: string, name: string): Promise<unknown> {
    if (!(error instanceof SwainError) || error.code !== "NOT_FOUND") return error;
    let hint = "";
    try {
      hint = await this.hintFor(namespace, resource, name);
    } catch {
      // What was asked for is answered; without a hint, then.
    }
    if (hint === "") return error;
    return new SwainError("NOT_FOUND", `${error.message} ${hint}`, { cause: error, details: error.details });
  }

  private async hintFor(namespace: string, resource: string, name: string): Promise<string> {
    // Asked once and briefly: the hint is not worth a wait.
    const named = async (scope: string, query: object): Promise<readonly Named[]> => {
      const subject = this.subjects.api(scope, resource, "list");
      const reply = answerOf(await this.bus.request(subject, query, { timeoutMs: hintMs }));
      return itemsOf(reply).flatMap(({ metadata }) => (metadata === undefined ? [] : [metadata as Named]));
    };
    const elsewhere = (await named("_", { name, limit: 5 })).flatMap(({ namespace: other }) =>
      other === undefined || other === namespace ? [] : [other],
    );
    if (elsewhere.length > 0) return `There is one in namespace ${elsewhere.join(", ")}: -n ${elsewhere[0]}.`;
    // One page: who has more objects than that looks for the name with `get`.
    const here = await named(namespace, {});
    const names = here.map((one) => one.name);
    // It is there after all: it came meanwhile, or is going.
    const meant = names.includes(name) ? undefined : nearest(name, names);
    return meant === undefined ? "" : `Did you mean "${meant}"?`;
  }

  close(): Promise<void> {
    return this.bus.close();
  }
}

/** Connects with the settings of the call. Throws NATS_UNREACHABLE, NATS_DENIED and what the settings throw. */
export async function openClient(call: Call, everyServer = false): Promise<Client> {
  const settings = await resolveSettings(call);
  const { server, cluster, creds, source } = settings;
  const err = (text: string): void => call.terminal.err(text);
  try {
    const bus = await connectBus({
      servers: server,
      name: "cli",
      cluster,
      connectTimeoutMs,
      clock: systemClock,
      random: systemRandom,
      log: { ...silent, error: (message, fields) => err(`${message} ${JSON.stringify(fields ?? {})}\n`) },
      signal: call.signal,
      everyServer,
      ...(creds === undefined ? {} : { creds }),
    });
    const onWaiting = (code: Code): void => err(`Still waiting for a leader of cluster ${cluster} (${code}) …\n`);
    const parts = { clock: systemClock, ids: systemIds, random: systemRandom, signal: call.signal };
    return new Client({ ...parts, bus, cluster, onWaiting });
  } catch (error) {
    if (call.signal.aborted) throw call.signal.reason;
    if (!(error instanceof SwainError)) throw error;
    throw new SwainError(error.code, `${error.message} (from ${source})`, { cause: error, details: error.details });
  }
}

function itemsOf(reply: Record<string, unknown>): ApiObject[] {
  return Array.isArray(reply.items) ? (reply.items as ApiObject[]) : [];
}

/** The body of an answer; one that is an error is thrown as that error. */
export function answerOf(message: BusMessage): Record<string, unknown> {
  const body = message.json();
  if (typeof body !== "object" || body === null) {
    throw new SwainError("INTERNAL", `the answer on ${message.subject} is not a JSON object`);
  }
  const { error } = body as Partial<ApiError>;
  if (error === undefined) return body as Record<string, unknown>;
  const { code, message: text, retryAfterMs, problems } = error;
  const details = { ...(retryAfterMs === undefined ? {} : { retryAfterMs }), ...located(problems) };
  if (isCode(code)) throw new SwainError(code, text, { details });
  throw new SwainError("INTERNAL", `${code}: ${text}`, { details });
}

/** Problems the leader found in manifests, as lines; it knows documents but no files. */
function located(problems: ApiError["error"]["problems"]): Record<string, unknown> {
  if (problems === undefined) return {};
  const lines = problems.map(({ document, path, message }) => ({ place: `document ${document + 1}${path}`, message }));
  return { problems, located: lines };
}
