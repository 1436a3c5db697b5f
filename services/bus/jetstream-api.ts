// Requests to the JetStream API as plain JSON over the port, and what its error codes mean. They serve `streams.ts`, which
// a simulated bus must be able to answer too, and the consumers behind watches and followers (`consumer.ts` says why those
// are not the library's). Single messages and keys go through the client library: see `jetstream.ts`.
import { SwainError } from "../kernel/errors.ts";
import { limits } from "./limits.ts";
import type { Bus, BusMessage } from "./port.ts";

/** Numbers of the server's error table. */
export const apiCodes = {
  streamNotFound: 10059,
  streamNameInUse: 10058,
  wrongLastSequence: 10071,
  wrongLastSequenceConstant: 10164,
  /** The store refused the message: mostly a limit of the stream, but also a failing disk. */
  storeFailed: 10077,
  /** To what would make or enlarge a stream; a message is refused with the next one. */
  storageExceeded: 10047,
  resourcesExceeded: 10023,
  /** Too few servers of a cluster can take a stream; only the description says why. */
  noPeers: 10005,
  memoryExceeded: 10028,
  accountExceeded: 10002,
  messageTooLarge: 10054,
  noMessage: 10037,
} as const;

/** Somebody else wrote first; which code says so depends on the server. */
export const conflicts: ReadonlySet<number> = new Set([apiCodes.wrongLastSequence, apiCodes.wrongLastSequenceConstant]);

export interface ApiFailure {
  readonly code: number;
  readonly description: string;
}

interface ApiReply {
  readonly error?: { readonly code?: number; readonly err_code?: number; readonly description?: string };
}

/** A JetStream answer: its value, or what the server refused. */
export type ApiResult<T> = { readonly ok: T } | { readonly failure: ApiFailure };

/** Reads a JetStream answer. Throws JETSTREAM_ERROR when it is not one. */
function readApiReply<T>(message: BusMessage): ApiResult<T> {
  const reply = message.json() as (T & ApiReply) | undefined;
  if (typeof reply !== "object" || reply === null) {
    throw new SwainError("JETSTREAM_ERROR", `an answer that is not JetStream's on ${message.subject}`);
  }
  if (reply.error === undefined) return { ok: reply };
  const { code = 0, err_code: errCode = code, description = "no description" } = reply.error;
  return { failure: { code: errCode, description } };
}

/** The value of an API request `$JS.API.<verb>`; a refusal is thrown as JETSTREAM_ERROR. */
export async function apiCall<T>(
  bus: Pick<Bus, "request">,
  verb: string,
  value: unknown,
  timeoutMs?: number,
): Promise<T> {
  return valueOf(verb, await apiResult<T>(bus, verb, value, timeoutMs));
}

/** The value of a result; a refusal is thrown as JETSTREAM_ERROR. */
export function valueOf<T>(what: string, result: ApiResult<T>): T {
  if ("ok" in result) return result.ok;
  throw failed(what, result.failure);
}

/**
 * The same with the refusal as a value. Rejects like `Bus.request`, except that nobody answering is JETSTREAM_ERROR: the
 * server has no JetStream, is starting, or is choosing a leader for the stream.
 */
export async function apiResult<T>(
  bus: Pick<Bus, "request">,
  verb: string,
  value: unknown,
  timeoutMs: number = limits.requestTimeoutMs,
): Promise<ApiResult<T>> {
  const subject = `$JS.API.${verb}`;
  try {
    return readApiReply<T>(await bus.request(subject, value, { timeoutMs }));
  } catch (error) {
    if (error instanceof SwainError && error.code === "NO_LEADER") {
      throw new SwainError("JETSTREAM_ERROR", `JetStream does not answer on ${subject}`, { cause: error });
    }
    throw error;
  }
}

/** A refusal as an error. */
export function failed(what: string, failure: ApiFailure): SwainError {
  return new SwainError("JETSTREAM_ERROR", `${what}: ${failure.description} (${failure.code})`, {
    details: { errCode: failure.code },
  });
}

/** True when the stream itself is not there. */
export function isMissing(error: unknown): boolean {
  return error instanceof SwainError && error.details["errCode"] === apiCodes.streamNotFound;
}

/** What `STREAM.INFO` and the answers to creating and updating a stream hold, as far as it is used. */
export interface StreamInfo {
  /** Undefined on a server alone. */
  readonly cluster?: { readonly leader?: string };
  readonly created: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly state: {
    readonly first_seq: number;
    readonly last_seq: number;
    readonly messages: number;
    readonly bytes: number;
  };
}

/**
 * False where the stream has several replicas and no leader is named: then any server that has one answers for it, with what may
 * be long out of date, and goes on doing so (nats-server 2.12 and 2.14, `jsStreamInfoRequest`).
 */
export function isLed({ config, cluster }: Pick<StreamInfo, "cluster"> & { config: object }): boolean {
  const { num_replicas: replicas = 1 } = config as { num_replicas?: number };
  return replicas <= 1 || (cluster?.leader ?? "") !== "";
}
