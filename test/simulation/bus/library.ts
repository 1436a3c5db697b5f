// What `log.ts` and `bucket.ts` use of the JetStream client library, over the simulated server. So the log store and the
// buckets of the simulated bus are those that ship.
import type { JetStreamClient, StreamAPI } from "@nats-io/jetstream";
import type { KV } from "@nats-io/kv";
import { apiCodes } from "../../../services/bus/jetstream-api.ts";
import type { ApiFailure, ApiResult } from "../../../services/bus/jetstream-api.ts";
import type { JetStream as Library } from "../../../services/bus/jetstream.ts";
import type { Answering, Call, CallAnswer } from "./connection.ts";
import type { Acknowledged } from "./jetstream.ts";
import { Packet } from "./message.ts";
import type { Stored, Stream } from "./stream.ts";

type Asked = Omit<Call, "kind" | "settle">;

/** Sends a call; rejects with TIMEOUT, BUS_CLOSED, or NO_LEADER when nobody answers. */
export type Calling = <T>(what: string, call: Asked, timeoutMs: number | undefined) => Promise<ApiResult<T>>;

/** A refusal of JetStream, which the bus makes a value again. */
export class Refusal extends Error {
  readonly failure: ApiFailure;

  constructor(failure: ApiFailure) {
    super(failure.description);
    this.failure = failure;
  }
}

interface PublishOptions {
  readonly msgID: string;
  readonly timeout: number;
  readonly expect: { readonly streamName: string; readonly lastSequence: number };
}

interface KeyOptions {
  readonly previousSeq: number;
  readonly timeout?: number;
}

const expected = (previous: number) => ({ "Nats-Expected-Last-Subject-Sequence": String(previous) });
const deleted = { "KV-Operation": "DEL" };
const nothing = new Uint8Array();
const decoder = new TextDecoder();

export function libraryOver(calling: Calling): Library {
  const ask = async <T>(what: string, call: Asked, timeoutMs?: number): Promise<T> => {
    const result = await calling<T>(what, call, timeoutMs);
    if ("ok" in result) return result.ok;
    throw new Refusal(result.failure);
  };
  const onStream: OnStream = (name, asks, work) =>
    ask(name, {
      stream: name,
      asks,
      packet: undefined,
      run: (js, answer) => {
        const stream = js.streams.get(name);
        answer(stream === undefined ? noStream : { ok: work(stream, js) });
      },
    });
  const write: Write = (stream, what, data, headers, append, timeoutMs) => {
    const packet = new Packet(what, data, undefined, headers);
    return ask(what, { stream, asks: "change", packet, run: append }, timeoutMs);
  };

  const client = {
    publish: async (subject: string, data: Uint8Array, options: PublishOptions) => {
      const { msgID: messageId, timeout, expect } = options;
      const wanted = { subject, data, messageId, expectedStream: expect.streamName, expectedLast: expect.lastSequence };
      const headers = {
        "Nats-Msg-Id": messageId,
        "Nats-Expected-Stream": expect.streamName,
        "Nats-Expected-Last-Sequence": String(expect.lastSequence),
      };
      const append: Appender = (js, answer) => js.append(wanted, answer);
      const { sequence, duplicate } = await write(expect.streamName, subject, data, headers, append, timeout);
      return { stream: expect.streamName, seq: sequence, duplicate };
    },
  };
  const streams = {
    info: (name: string) => onStream(name, "state", (stream, js) => js.info(stream)),
    getMessage: (name: string, { seq }: { seq: number }) =>
      onStream(name, "content", (stream) => {
        const found = stream.get(seq);
        return found === undefined
          ? null
          : { seq: found.sequence, subject: found.subject, data: found.data, time: new Date(found.time) };
      }),
    purge: (name: string, { filter, seq, keep }: { filter?: string; seq?: number; keep?: number }) =>
      onStream(name, "change", (stream) => ({
        success: true,
        purged: stream.purge({ filter, below: seq || undefined, keep }),
      })),
  };
  const bucket = (name: string): Promise<KV> => Promise.resolve(keysOf(name, onStream, write) as unknown as KV);
  return { client: client as unknown as JetStreamClient, streams: streams as unknown as StreamAPI, bucket };
}

type Appender = (js: Answering, answer: CallAnswer) => void;

type OnStream = <T>(stream: string, asks: Call["asks"], work: (stream: Stream, js: Answering) => T) => Promise<T>;

/** What listeners of the subject hear, with the conditions that the writer states, and what the server does. */
type Write = (
  stream: string,
  subject: string,
  data: Uint8Array,
  headers: Readonly<Record<string, string>>,
  append: Appender,
  timeoutMs?: number,
) => Promise<Acknowledged>;

const noStream: { failure: ApiFailure } = {
  failure: { code: apiCodes.streamNotFound, description: "stream not found" },
};

function keysOf(name: string, onStream: OnStream, write: Write) {
  const streamName = `KV_${name}`;
  const subjectOf = (key: string): string => `$KV.${name}.${key}`;
  return {
    get: (key: string) =>
      onStream(streamName, "content", (stream) => {
        const found = stream.newest(subjectOf(key));
        return found === undefined ? null : entryOf(key, found);
      }),
    put: async (key: string, data: Uint8Array, { previousSeq, timeout }: KeyOptions): Promise<number> => {
      const wanted = { subject: subjectOf(key), data, expectedForSubject: previousSeq };
      const append: Appender = (js, answer) => js.append(wanted, answer);
      return (await write(streamName, wanted.subject, data, expected(previousSeq), append, timeout)).sequence;
    },
    delete: async (key: string, { previousSeq }: KeyOptions): Promise<void> => {
      const wanted = { subject: subjectOf(key), data: nothing, headers: deleted, expectedForSubject: previousSeq };
      const headers = { ...deleted, ...expected(previousSeq) };
      await write(streamName, wanted.subject, nothing, headers, (js, answer) => js.append(wanted, answer));
    },
  };
}

function entryOf(key: string, { headers, data, sequence }: Stored) {
  return { key, operation: headers?.["KV-Operation"] ?? "PUT", revision: sequence, string: () => decoder.decode(data) };
}
