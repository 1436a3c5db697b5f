// Sends the output of containers to whoever asked, over the bulk connection. The client grants how many chunks may be
// under way, so a flood of output waits in the engine and not in anyone's memory. Called by `agent.ts`.
import type { LogChunk, LogsCredit, LogsRequest } from "../../schemas/generated/types.ts";
import type { Bus } from "../bus/port.ts";
import { limits } from "../bus/limits.ts";
import { keyOf } from "../core/model.ts";
import type { Cancel, Clock } from "../kernel/clock.ts";
import { asSwainError, SwainError } from "../kernel/errors.ts";
import { bounds } from "./bounds.ts";
import type { Pods } from "./pods.ts";
import { piecesOf } from "./runtime/output.ts";
import type { OnOutput } from "./runtime/output.ts";

/** UTF-8 takes at most three bytes per code unit; a quarter leaves room for JSON escapes of ordinary output. */
const chunkUnits = limits.logChunkBytes / 4;

/** Each line's time takes fourteen bytes. */
const chunkLines = Math.floor(limits.logChunkBytes / 4 / 14);

export class LogSessions {
  private readonly clock: Clock;
  private readonly sessions = new Map<string, Session>();
  /** Every session that may be asked for again. */
  private readonly asked = new Map<string, Asked>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /**
   * Begins a session, once: who had no answer asks again. Throws NOT_FOUND, BUSY, INVALID_REQUEST. `subjectOf` names where the
   * chunks of a pod go.
   */
  open(request: LogsRequest, pods: Pods, bulk: Bus, subjectOf: (pod: string) => string): void {
    if (request.previous === true && request.follow === true) {
      throw new SwainError("INVALID_REQUEST", "an earlier run is over: previous does not go with follow");
    }
    const now = this.clock.mono();
    for (const [id, { endedAt }] of this.asked) if (now - endedAt > limits.clientRetryMs) this.asked.delete(id);
    if (this.asked.has(request.session)) return;
    if (this.sessions.size >= bounds.logSessions) {
      throw new SwainError("BUSY", `${bounds.logSessions} log sessions are open on this node`, {
        details: { retryAfterMs: 1000 },
      });
    }
    const { namespace } = request;
    const found = pods.containersOf(namespace === undefined ? request.name : keyOf(namespace, request.name));
    if (found === undefined) throw new SwainError("NOT_FOUND", `pod ${request.name} is not on this node`);
    const name = request.container ?? found.pod.containers[0]?.name;
    if (!found.pod.containers.some((container) => container.name === name)) {
      throw new SwainError("NOT_FOUND", `pod ${request.name} has no container ${name ?? ""}`);
    }
    const container = found.containers.find((one) => one.name === name);
    if (container === undefined) throw new SwainError("NOT_FOUND", `container ${name ?? ""} is not made yet`);
    const subject = subjectOf(found.pod.name);
    const session = new Session(this.clock, request, (chunk) => {
      bulk.publish(subject, { session: request.session, container: container.name, ...chunk });
    });
    this.sessions.set(request.session, session);
    this.asked.set(request.session, { endedAt: Infinity, end: null });
    void session
      .run((signal, onOutput) => {
        const { tail, follow = false, previous = false } = request;
        const since = sinceOf(request, this.clock.wall());
        const options = {
          follow,
          previous,
          ...(tail === undefined ? {} : { tail }),
          ...(since === null ? {} : { since }),
        };
        return pods.driver.logs(container.id, { ...options, signal }, onOutput);
      })
      .then((end) => {
        this.sessions.delete(request.session);
        this.asked.set(request.session, { endedAt: this.clock.mono(), end });
      });
  }

  /**
   * The client took chunks, or gives a sign of life. Of a session that has ended, here or with an agent before this one, it has not
   * heard the end, and would wait for ever: it is said again.
   */
  credit({ session, credit, pod }: LogsCredit, bulk: Bus, subjectOf: (pod: string) => string): void {
    const open = this.sessions.get(session);
    if (open !== undefined) return open.grant(credit);
    if (pod !== undefined) bulk.publish(subjectOf(pod), { session, ...(this.asked.get(session)?.end ?? unknownEnd) });
  }

  /** Ends all sessions. */
  close(): void {
    for (const session of this.sessions.values()) session.end(new SwainError("BUS_CLOSED", "the agent stops"));
  }
}

type Chunk = Omit<LogChunk, "session" | "container">;

interface Asked {
  /** Monotonic. */
  readonly endedAt: number;
  /** Its last chunk; null while it goes on. */
  readonly end: Chunk | null;
}

const unknownEnd: Chunk = {
  sequence: 1,
  end: true,
  code: "TIMEOUT",
  error: "the agent sends this output no more: it was started anew, or heard nothing of the client for 30 s",
};

/** From when on, milliseconds since 1970; null for everything. An age is counted by this node's clock. */
function sinceOf({ sinceMs, sinceTime }: LogsRequest, now: number): number | null {
  if (sinceMs === undefined && sinceTime === undefined) return null;
  return Math.max(sinceMs === undefined ? 0 : now - sinceMs, sinceTime ?? 0);
}

class Session {
  private readonly clock: Clock;
  private readonly send: (chunk: Chunk) => void;
  private readonly abort = new AbortController();
  private credit: number;
  private sequence = 0;
  private silence: Cancel;
  /** Called when there is credit again, or when the session ends. */
  private onCredit: (() => void) | null = null;

  constructor(clock: Clock, request: LogsRequest, send: (chunk: Chunk) => void) {
    this.clock = clock;
    this.send = send;
    this.credit = request.credit ?? bounds.logCredit;
    this.silence = this.listen();
  }

  grant(credit: number): void {
    // Never more than one message may grant, whatever a client adds up.
    this.credit = Math.min(this.credit + credit, 1000);
    this.silence();
    this.silence = this.listen();
    this.onCredit?.();
  }

  end(error: SwainError): void {
    this.abort.abort(error);
    this.onCredit?.();
  }

  /** Gives the last chunk. Never rejects: what goes wrong is said in that. */
  async run(read: (signal: AbortSignal, onOutput: OnOutput) => Promise<void>): Promise<Chunk> {
    let error: unknown = null;
    try {
      await read(this.abort.signal, (stream, text, times) => this.write(stream, text, times));
    } catch (caught) {
      error = caught;
    }
    this.silence();
    if (this.abort.signal.aborted) error = this.abort.signal.reason;
    this.sequence += 1;
    const end: Chunk = { sequence: this.sequence, end: true, ...(error === null ? {} : said(error)) };
    this.send(end);
    return end;
  }

  private listen(): Cancel {
    return this.clock.after(bounds.logSilentMs, () => this.end(new SwainError("TIMEOUT", "the client fell silent")));
  }

  private async write(stream: "stdout" | "stderr", text: string, times: readonly number[]): Promise<void> {
    let at = 0;
    for (const part of parts(text)) {
      const pieces = piecesOf(part);
      const own = times.slice(at, at + pieces);
      // A line that was cut goes on in the next part, with its time.
      at += part.endsWith("\n") ? pieces : pieces - 1;
      while (this.credit <= 0 && !this.abort.signal.aborted) {
        await new Promise<void>((resolve) => {
          this.onCredit = resolve;
        });
      }
      this.onCredit = null;
      this.abort.signal.throwIfAborted();
      this.credit -= 1;
      this.sequence += 1;
      this.send({ sequence: this.sequence, stream, text: part, times: own });
    }
  }
}

/** Behind that many lines, or the end of the text. */
function afterLines(text: string, from: number, lines: number): number {
  let at = from;
  for (let line = 0; line < lines; line += 1) {
    at = text.indexOf("\n", at) + 1;
    if (at === 0) return text.length;
  }
  return at;
}

function said(error: unknown): { code: string; error: string } {
  const { code, message } = asSwainError(error);
  return { code, error: message };
}

/** Cuts long text where no character is torn, and where the times of its lines would take more room than it. */
function* parts(text: string): Generator<string> {
  let from = 0;
  while (from < text.length) {
    let to = Math.min(from + chunkUnits, afterLines(text, from, chunkLines));
    const last = text.charCodeAt(to - 1);
    const tears = to < text.length && last >= 0xd800 && last <= 0xdbff;
    if (tears) to -= 1;
    yield text.slice(from, to);
    from = to;
  }
}
