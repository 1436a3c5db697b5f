// Programs that people run in pods: each is a session on the bulk connection, with a window of credit both ways, so that
// neither a flood of output nor a program that does not read fills anyone's memory. A session ends with its program, or
// when the client leaves or falls silent, and then takes its program along. Called by `agent.ts`.
import type { ExecInput, ExecOutput, ExecRequest } from "../../schemas/generated/types.ts";
import { execInput } from "../../schemas/generated/messages.js";
import type { Bus } from "../bus/port.ts";
import { limits } from "../bus/limits.ts";
import { keyOf } from "../core/model.ts";
import type { Cancel, Clock } from "../kernel/clock.ts";
import { asSwainError, SwainError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { bounds } from "./bounds.ts";
import type { Pods } from "./pods.ts";
import type { ExecRun, OnExecOutput } from "./runtime/driver.ts";

/** A terminal whose size nobody told. */
const usualSize = { columns: 80, rows: 24 };

export interface ExecSubjects {
  output(session: string): string;
  input(session: string): string;
}

export class ExecSessions {
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly subjects: ExecSubjects;
  private readonly sessions = new Map<string, Session>();
  /** Of every session that may be asked for again: that its program runs, and when it ended, monotonic. */
  private readonly asked = new Map<string, { readonly begun: Promise<void>; endedAt: number }>();

  constructor(clock: Clock, log: Logger, subjects: ExecSubjects) {
    this.clock = clock;
    this.log = log;
    this.subjects = subjects;
  }

  /**
   * Resolves when the program runs, or has run: who had no answer asks again, and it is run once. Rejects with NOT_FOUND, BUSY, or
   * what the driver says.
   */
  open(request: ExecRequest, pods: Pods, bulk: Bus): Promise<void> {
    const { session: id } = request;
    const now = this.clock.mono();
    for (const [other, { endedAt }] of this.asked) if (now - endedAt > limits.clientRetryMs) this.asked.delete(other);
    const before = this.asked.get(id);
    if (before !== undefined) return before.begun;
    const begun = this.begin(request, pods, bulk);
    this.asked.set(id, { begun, endedAt: Infinity });
    begun.catch(() => this.asked.delete(id));
    return begun;
  }

  private async begin(request: ExecRequest, pods: Pods, bulk: Bus): Promise<void> {
    const { session: id, command, stdin = false, tty = false } = request;
    if (this.sessions.size >= bounds.execSessions) {
      throw new SwainError("BUSY", `${bounds.execSessions} programs are run by people on this node`, {
        details: { retryAfterMs: 1000 },
      });
    }
    const { pod, container } = pods.runningContainer(podOf(request), request.container);
    const session = new Session(this.clock, request.credit ?? bounds.execCredit, (message) =>
      bulk.publish(this.subjects.output(id), message),
    );
    this.sessions.set(id, session);
    const cancel = bulk.subscribe(this.subjects.input(id), (message) => {
      const input = message.json();
      if (execInput(input)) session.take(input);
    });
    // Who runs what where is on record; arguments may hold secrets and are not.
    const log = this.log.with({ pod, container: container.name, session: id, program: command[0] ?? "" });
    const size = { columns: request.columns ?? usualSize.columns, rows: request.rows ?? usualSize.rows };
    const options = { command, stdin, tty: tty ? size : null, signal: session.signal };
    const over = (): void => {
      cancel();
      this.sessions.delete(id);
    };
    try {
      // The client's first input may be there before the answer to its request is: it is subscribed by now.
      await bulk.flush(limits.commandTimeoutMs);
      await session.begin((onOutput) => pods.driver.exec(container.id, options, onOutput));
    } catch (error) {
      session.close();
      over();
      throw error;
    }
    log.info("a program was started in a pod", { tty });
    void session.ended.then((how) => {
      over();
      const asked = this.asked.get(id);
      if (asked !== undefined) asked.endedAt = this.clock.mono();
      log.info("a program in a pod ended", { ...how });
    });
  }

  /** Ends all sessions and their programs. */
  close(): void {
    for (const session of this.sessions.values()) session.end(new SwainError("BUS_CLOSED", "the agent stops"));
  }
}

const podOf = ({ namespace, name }: ExecRequest): string => (namespace === undefined ? name : keyOf(namespace, name));

type Message = Omit<ExecOutput, "sequence">;
type How =
  | { readonly exitCode: number }
  | { readonly code: string; readonly error: string; readonly exitCode?: number };

class Session {
  /** Never rejects. */
  readonly ended: Promise<How>;
  private readonly publish: (message: ExecOutput) => void;
  private readonly clock: Clock;
  private readonly abort = new AbortController();
  private run: ExecRun | null = null;
  private credit: number;
  private sequence = 0;
  /** The next piece of input, and how many wait for the program. */
  private expected = 1;
  private waiting = 0;
  /** Input is handed over one piece after another. */
  private line: Promise<void> = Promise.resolve();
  private silence: Cancel;
  /** Both output streams may wait for credit, each with one piece. */
  private readonly waitingForCredit = new Set<() => void>();
  private tell: (how: How) => void = () => {};

  constructor(clock: Clock, credit: number, publish: (message: ExecOutput) => void) {
    this.clock = clock;
    this.credit = credit;
    this.publish = publish;
    this.silence = this.listen();
    this.ended = new Promise((resolve) => {
      this.tell = resolve;
    });
  }

  get signal(): AbortSignal {
    return this.abort.signal;
  }

  /** Resolves when the program runs; rejects when it cannot. */
  async begin(start: (onOutput: OnExecOutput) => Promise<ExecRun>): Promise<void> {
    let open = (): void => {};
    const started = new Promise<void>((resolve) => {
      open = resolve;
    });
    // What comes before waits here, within the window that a client may send.
    this.line = started;
    const run = await start((stream, data) => this.write(stream, data));
    this.run = run;
    open();
    void run.ended.then(
      (exitCode) => this.over({ exitCode }),
      (error: unknown) => {
        const { code, message, details } = asSwainError(this.abort.signal.aborted ? this.abort.signal.reason : error);
        const { exitCode } = details;
        this.over({ code, error: message, ...(typeof exitCode === "number" ? { exitCode } : {}) });
      },
    );
  }

  take(input: ExecInput): void {
    this.silence();
    if (this.abort.signal.aborted) return;
    this.silence = this.listen();
    if (input.close === true) this.end(new SwainError("STOPPED", "the client left"));
    if (input.credit !== undefined) {
      this.credit = Math.min(this.credit + input.credit, 1000);
      this.goOn();
    }
    if (input.columns !== undefined && input.rows !== undefined) {
      const { columns, rows } = input;
      this.line = this.line.then(() => this.run?.resize({ columns, rows }));
    }
    if (input.sequence !== undefined) this.feed(input.sequence, input);
  }

  end(error: SwainError): void {
    this.abort.abort(error);
    this.goOn();
  }

  /** Lets go of it without a word: the program never ran. */
  close(): void {
    this.silence();
    this.end(new SwainError("STOPPED", "the program did not start"));
  }

  private feed(sequence: number, { data, eof }: ExecInput): void {
    if (sequence < this.expected) return;
    if (sequence > this.expected) return this.end(new SwainError("INVALID_REQUEST", "input was lost on the way"));
    this.expected += 1;
    this.waiting += 1;
    if (this.waiting > limits.execInputWindow) {
      return this.end(new SwainError("INVALID_REQUEST", `more than ${limits.execInputWindow} pieces of input wait`));
    }
    this.line = this.line.then(async () => {
      if (data !== undefined && data !== "") await this.run?.write(Buffer.from(data, "base64"));
      if (eof === true) this.run?.endInput();
      this.waiting -= 1;
      if (!this.abort.signal.aborted) this.send({ taken: 1 });
    });
  }

  private over(how: How): void {
    this.silence();
    this.send({ ...how, end: true });
    this.abort.abort(new SwainError("STOPPED", "the program ended"));
    this.tell(how);
  }

  private listen(): Cancel {
    return this.clock.after(bounds.execSilentMs, () => this.end(new SwainError("TIMEOUT", "the client fell silent")));
  }

  private async write(stream: "stdout" | "stderr", data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; at += limits.execChunkBytes) {
      while (this.credit <= 0 && !this.abort.signal.aborted) {
        await new Promise<void>((resolve) => {
          this.waitingForCredit.add(resolve);
        });
      }
      this.abort.signal.throwIfAborted();
      this.credit -= 1;
      const piece = data.subarray(at, at + limits.execChunkBytes);
      this.send({ stream, data: Buffer.from(piece).toString("base64") });
    }
  }

  /** Lets output that waits for credit look again. */
  private goOn(): void {
    for (const look of this.waitingForCredit) look();
    this.waitingForCredit.clear();
  }

  private send(message: Message): void {
    this.sequence += 1;
    this.publish({ sequence: this.sequence, ...message });
  }
}
