// The part of `$JS.API` that Swain asks as JSON: streams and consumers. What is not here is answered as if nobody were there.
import { apiCodes } from "../../../services/bus/jetstream-api.ts";
import type { ConsumerConfig, PushConsumer } from "./consumer.ts";
import type { Peers } from "./cluster.ts";
import type { JetStream } from "./jetstream.ts";
import type { Packet } from "./message.ts";
import { matcher } from "./routes.ts";
import type { Config, Stream } from "./stream.ts";

interface ApiAnswer {
  readonly value: unknown;
  /** What follows once the answer is on its way. */
  readonly after?: () => void;
}

type Body = Readonly<Record<string, unknown>>;
type Verb = (js: JetStream, stream: Stream, rest: string, body: Body) => ApiAnswer;

const prefix = "$JS.API.";

export const isApi = (subject: string): boolean => subject.startsWith(prefix);

/** Undefined for a request this server does not know. */
export function answerApi(js: JetStream, packet: Packet): ApiAnswer | undefined {
  const verb = packet.subject.slice(prefix.length);
  if (verb === "INFO") return { value: account(js) };
  const body = parse(packet);
  const [noun = "", action = "", ...more] = verb.split(".");
  const kind = noun === "STREAM" && action === "MSG" ? `${noun}.${action}.${more.shift()}` : `${noun}.${action}`;
  const [name = "", ...rest] = more;
  if (kind === "STREAM.CREATE") return create(js, name, body);
  const work = verbs[kind];
  if (work === undefined) return undefined;
  const stream = js.streams.get(name);
  return stream === undefined
    ? failure(404, apiCodes.streamNotFound, "stream not found")
    : work(js, stream, rest.join("."), body);
}

const verbs: Readonly<Record<string, Verb>> = {
  "STREAM.INFO": (js, stream) => ({ value: js.info(stream) }),
  "STREAM.UPDATE": (js, stream, _rest, body) => {
    js.update(stream, body);
    return { value: js.info(stream) };
  },
  "STREAM.DELETE": (js, stream) => {
    js.delete(stream);
    return { value: { success: true } };
  },
  "STREAM.PURGE": (_js, stream, _rest, body) => {
    const { filter, seq, keep } = body as { filter?: string; seq?: number; keep?: number };
    return { value: { success: true, purged: stream.purge({ filter, below: seq || undefined, keep }) } };
  },
  "STREAM.MSG.GET": (_js, stream, _rest, body) => {
    const found = stream.newestOf(matcher(String(body["last_by_subj"])));
    if (found === undefined) return failure(404, apiCodes.noMessage, "no message found");
    return { value: { message: { subject: found.subject, seq: found.sequence } } };
  },
  "STREAM.MSG.DELETE": (_js, stream, _rest, body) =>
    stream.remove(Number(body["seq"]))
      ? { value: { success: true } }
      : failure(400, 10057, `no message found at ${String(body["seq"])}`),
  "CONSUMER.CREATE": createConsumer,
  "CONSUMER.DELETE": (js, stream, rest) =>
    js.removeConsumer(stream, rest) ? { value: { success: true } } : failure(404, 10014, "consumer not found"),
  "CONSUMER.NAMES": (js, stream) => {
    const names = [...js.consumersOf(stream).keys()];
    return { value: { total: names.length, offset: 0, limit: 1024, consumers: names } };
  },
};

function create(js: JetStream, name: string, config: Config): ApiAnswer {
  const made = js.create(name, config);
  return "ok" in made ? { value: js.info(made.ok) } : failure(400, made.failure.code, made.failure.description);
}

function createConsumer(js: JetStream, stream: Stream, _rest: string, body: Body): ApiAnswer {
  const config = body["config"] as ConsumerConfig;
  const others = js.consumersOf(stream);
  // A request that came twice.
  const found = others.get(config.name);
  if (found !== undefined) return { value: consumerInfo(found) };
  const most = Number(stream.config["max_consumers"] ?? -1);
  if (most > 0 && others.size >= most) return failure(400, 10026, "maximum consumers limit reached");
  const consumer = js.addConsumer(stream, config);
  return { value: consumerInfo(consumer), after: () => consumer.pump() };
}

function consumerInfo(consumer: PushConsumer): unknown {
  return {
    stream_name: consumer.stream.name,
    name: consumer.config.name,
    config: consumer.config,
    delivered: { consumer_seq: consumer.delivered },
    num_pending: consumer.pending,
  };
}

/** `peers`: of a stream with several replicas. */
export function infoOf(stream: Stream, peers: Peers | undefined): unknown {
  const { config, created, first, last, bytes, count } = stream;
  const state = { messages: count, bytes, first_seq: first, last_seq: last };
  return { config, created, state, ...(peers === undefined ? {} : { cluster: peers }) };
}

function account(js: JetStream): unknown {
  let storage = 0;
  for (const stream of js.streams.values()) storage += stream.bytes;
  const limits = { max_memory: -1, max_storage: -1, max_streams: -1, max_consumers: -1 };
  return { memory: 0, storage, streams: js.streams.size, consumers: 0, limits };
}

function failure(code: number, errCode: number, description: string): ApiAnswer {
  return { value: { error: { code, err_code: errCode, description } } };
}

function parse(packet: Packet): Body {
  const body = packet.json();
  return typeof body === "object" && body !== null ? (body as Body) : {};
}
