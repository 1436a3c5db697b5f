// JetStream and KV of the client library on the connection of a bus, and what its errors mean. Not the port: `log.ts` and
// `bucket.ts` are, over this. The bus imports it when a log or a bucket is first used, because reading these modules takes
// tens of milliseconds, and most commands only ask the leader.
import { jetstream, JetStreamApiError } from "@nats-io/jetstream";
import type { JetStreamClient, StreamAPI } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import type { KV } from "@nats-io/kv";
import type { NatsConnection } from "nats";
import { SwainError } from "../kernel/errors.ts";
import { chain, codeOfClientError, requestError } from "./errors.ts";
import type { ApiFailure } from "./jetstream-api.ts";
import { limits } from "./limits.ts";

/** What the library offers. Nothing is asked of the server before a method is called. */
export interface JetStream {
  readonly client: JetStreamClient;
  /** Streams by name; asks the stream's leader. */
  readonly streams: StreamAPI;
  /** The bucket of that name, read through its leader. */
  bucket(name: string): Promise<KV>;
}

/** Opens the library on a connection. */
export async function openJetStream(connection: NatsConnection): Promise<JetStream> {
  // No check that JetStream is there: it would be one more request, and not every role may ask.
  const client = jetstream(connection, { timeout: limits.requestTimeoutMs, checkAPI: false });
  const { streams } = await client.jetstreamManager(false);
  const kvm = new Kvm(client);
  // A cluster has a handful of buckets.
  const opened = new Map<string, Promise<KV>>();
  const bucket = (name: string): Promise<KV> => {
    // A direct read may be answered by a replica that is behind.
    const found = opened.get(name) ?? kvm.open(name, { allow_direct: false });
    opened.set(name, found);
    return found;
  };
  return { client, streams, bucket };
}

/** What JetStream refused, or undefined when the error is none of its answers. */
export function refusalOf(error: unknown): ApiFailure | undefined {
  for (const one of chain(error)) {
    if (one instanceof JetStreamApiError) return { code: one.code, description: one.message };
  }
  return undefined;
}

/**
 * Any other error of the library. Nobody answering is JETSTREAM_ERROR: the server has no JetStream, is starting, or is
 * choosing a leader for the stream.
 */
export function libraryError(error: unknown, what: string, closed: boolean): SwainError {
  const code = codeOfClientError(error, closed ? "BUS_CLOSED" : "JETSTREAM_ERROR");
  if (code !== "NO_LEADER" && code !== "JETSTREAM_ERROR") return requestError(error, what, closed);
  const message = code === "NO_LEADER" ? `JetStream does not answer on ${what}` : `${what}: ${String(error)}`;
  return new SwainError("JETSTREAM_ERROR", message, { cause: error });
}
