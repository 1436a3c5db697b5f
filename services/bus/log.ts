// The log over a JetStream stream. `streams.ts` makes the stream; only the leading controller appends.
import type { StreamInfo } from "@nats-io/jetstream";
import { sleep } from "../kernel/clock.ts";
import type { Cancel } from "../kernel/clock.ts";
import { SwainError } from "../kernel/errors.ts";
import { openConsumer } from "./consumer.ts";
import { followStream } from "./follow.ts";
import { readToEnd } from "./heal.ts";
import { apiCall, apiCodes, conflicts, failed, isLed, valueOf } from "./jetstream-api.ts";
import type { ApiFailure } from "./jetstream-api.ts";
import type { LogRecord, LogStore, LogTail } from "./port.ts";
import { refuseMarked } from "./restoring.ts";
import type { Wire } from "./wire.ts";

/** The server or the account has no room left, whatever the stream's own limits. */
const noRoom: ReadonlySet<number> = new Set([
  apiCodes.storageExceeded,
  apiCodes.resourcesExceeded,
  apiCodes.memoryExceeded,
  apiCodes.accountExceeded,
]);

/** Leaders of streams are heard by the other servers each second. */
const unledMs = 2000;
const againMs = 100;
const nanosPerMs = 1_000_000;

function heardAgoMs({ config, cluster }: StreamInfo): number {
  const others = Math.floor(config.num_replicas / 2);
  if (others === 0) return 0;
  // Zero is said of one that was not heard since the stream's leader began.
  const heard = (cluster?.replicas ?? []).map(({ active }) => (active > 0 ? active / nanosPerMs : Infinity));
  return heard.toSorted((one, other) => one - other)[others - 1] ?? Infinity;
}

export class JetStreamLog implements LogStore {
  private readonly wire: Wire;
  private readonly stream: string;

  constructor(wire: Wire, stream: string) {
    this.wire = wire;
    this.stream = stream;
  }

  async append(
    subject: string,
    data: Uint8Array,
    options: { expectedSequence: number; messageId: string; timeoutMs: number },
  ): Promise<number> {
    const { expectedSequence: lastSequence, messageId: msgID, timeoutMs } = options;
    const result = await this.wire.jetStream(
      subject,
      // One try: what became of one that was not answered is for the caller to find out.
      ({ client }, timeout) =>
        client.publish(subject, data, { msgID, timeout, expect: { streamName: this.stream, lastSequence } }),
      { timeoutMs, bytes: data.length },
    );
    if ("ok" in result) return result.ok.seq;
    throw await this.refused(result.failure, options.expectedSequence, data.length);
  }

  async tail(): Promise<LogTail> {
    const info = await this.info();
    const { state, config } = info;
    refuseMarked(this.stream, config);
    // An empty stream's first sequence differs between servers.
    const first = state.messages === 0 ? state.last_seq + 1 : state.first_seq;
    return { first, last: state.last_seq, replicas: config.num_replicas, heardAgoMs: heardAgoMs(info) };
  }

  async get(sequence: number): Promise<LogRecord | null> {
    const what = `record ${sequence} of ${this.stream}`;
    const result = await this.wire.jetStream(what, ({ streams }) => streams.getMessage(this.stream, { seq: sequence }));
    const stored = valueOf(what, result);
    return stored && { sequence: stored.seq, subject: stored.subject, data: stored.data, time: stored.time.getTime() };
  }

  async read(from: number, onRecord: (record: LogRecord) => void, upTo = Infinity): Promise<void> {
    const last = Math.min((await this.tail()).last, upTo);
    let next = Math.max(1, from);
    if (last < next) return;
    await readToEnd(this.wire, `${this.stream} up to ${last}`, ({ progress, done, lost, fail }) =>
      openConsumer(
        this.wire,
        { stream: this.stream, start: { sequence: next } },
        {
          onMessage: (record) => {
            if (record.sequence < next || record.sequence > last) return;
            next = record.sequence + 1;
            progress();
            try {
              onRecord(record);
            } catch (error) {
              fail(error);
            }
            if (next > last) done();
          },
          // Records up to the last may have been cut away meanwhile.
          onCaughtUp: done,
          onLost: lost,
        },
      ),
    );
  }

  follow(
    from: number,
    onRecord: (record: LogRecord) => void,
    onBroken?: (tail: { first: number; last: number }) => void,
  ): Cancel {
    return followStream(this.wire, this.stream, from, {
      onRecord,
      onBroken: (tail) => onBroken?.(tail),
      get: (sequence) => this.get(sequence),
    });
  }

  async cut(upTo: number, subject?: string): Promise<void> {
    // A server takes sequence 0 for "everything".
    if (upTo < 1) return;
    await apiCall(this.wire, `STREAM.PURGE.${this.stream}`, {
      seq: upTo + 1,
      ...(subject === undefined ? {} : { filter: subject }),
    });
  }

  async room(): Promise<{ used: number; most: number }> {
    const { config, state } = await this.info();
    return { used: state.bytes, most: Math.max(0, config.max_bytes) };
  }

  private async info(): Promise<StreamInfo> {
    const what = `state of ${this.stream}`;
    const { clock } = this.wire;
    for (const since = clock.mono(); ; await sleep(clock, againMs)) {
      const info = valueOf(what, await this.wire.jetStream(what, ({ streams }) => streams.info(this.stream)));
      if (isLed(info)) return info;
      // A server that is back answers like that, too, faster than the leader may, until it has heard it.
      if (clock.mono() - since > unledMs) throw new SwainError("JETSTREAM_ERROR", `${what}: the stream has no leader`);
    }
  }

  private async refused(failure: ApiFailure, expected: number, size: number): Promise<SwainError> {
    const { code, description } = failure;
    if (conflicts.has(code)) {
      return new SwainError("APPEND_CONFLICT", `${this.stream} does not end at ${expected}: ${description}`);
    }
    if (code === apiCodes.messageTooLarge) {
      return new SwainError("PAYLOAD_TOO_LARGE", `${size} bytes for ${this.stream}: ${description}`);
    }
    if (noRoom.has(code) || (code === apiCodes.storeFailed && (await this.isFull(size)))) {
      return new SwainError("LOG_FULL", `${this.stream} takes no more records: ${description}`);
    }
    return failed(`append to ${this.stream}`, failure);
  }

  /** The server has one code for every refusal of its store, so the stream's limits decide which it was. */
  private async isFull(size: number): Promise<boolean> {
    const { config, state } = await this.info();
    const reached = (limit: number, value: number): boolean => limit > 0 && value > limit;
    // Half a KiB stands for what the server stores beside the body: subject, headers, and its own frame.
    return reached(config.max_bytes, state.bytes + size + 512) || reached(config.max_msgs, state.messages + 1);
  }
}
