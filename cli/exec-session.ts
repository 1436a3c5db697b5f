// One session of `exec`: subscribes, asks, sends what is typed as far as the agent takes it, writes what comes in order,
// and ends with the program's exit code. Credit goes both ways, so neither side is flooded.
import type { ExecInput, ExecOutput } from "../schemas/generated/types.ts";
import { limits } from "../services/bus/limits.ts";
import type { BusMessage } from "../services/bus/port.ts";
import { SwainError, asSwainError, isCode } from "../services/kernel/errors.ts";
import { untilAborted } from "./abort.ts";
import type { Client } from "./client.ts";
import type { Keys } from "./tty.ts";

export interface WantedProgram {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string | undefined;
  readonly command: readonly string[];
  readonly tty: boolean;
  readonly stdin: boolean;
}

/** Where its output goes; resolves when there is room for more. */
export type Write = (stream: "stdout" | "stderr", data: Uint8Array) => Promise<void>;

/** Pieces under way: 64 × 16 KiB is 1 MiB at most in flight. */
const window = 64;
/** The agent ends a session it hears nothing of for 30 s. */
const aliveMs = 10_000;
/** The agent's node is looked after this often while nothing comes. */
const lookMs = 15_000;
/** So many looks in a row at which nobody hears the session: an agent that is away for a moment comes back to it in 30 s, or it has ended. */
const mostUnheard = 3;
/** Whether nobody listens is known at once. */
const signMs = 1000;

/** Runs it; resolves with its exit code. Throws NOT_FOUND, NOT_RUNNING_NOW, EXEC_UNSUPPORTED, NODE_UNHEARD … */
export async function runProgram(client: Client, keys: Keys, write: Write, wanted: WantedProgram): Promise<number> {
  const { namespace, pod, container, command, tty, stdin } = wanted;
  const object = await client.get(namespace, "pod", pod);
  const { node } = object["spec"] as { node?: string };
  if (node === undefined) throw new SwainError("NOT_RUNNING_NOW", `pod ${pod} is on no node`);
  const session = new ExecSession(client, write, node);
  let raw = (): void => {};
  try {
    const size = tty ? keys.size() : null;
    const request = {
      session: session.id,
      name: pod,
      command,
      tty,
      stdin,
      credit: window,
      ...size,
      ...(container === undefined ? {} : { container }),
    };
    await client.ask(namespace, "pod", "exec", request, limits.askedNodeTimeoutMs);
    if (tty) {
      raw = keys.raw();
      session.follow(keys);
    }
    session.start(() => client.get(namespace, "pod", pod));
    if (stdin) void session.feed(keys);
    return await untilAborted(session.ended, client.signal);
  } finally {
    raw();
    session.stop();
    keys.close();
  }
}

class ExecSession {
  readonly id: string;
  readonly ended: Promise<number>;
  private readonly client: Client;
  private readonly write: Write;
  private readonly input: string;
  private readonly cancels: (() => void)[] = [];
  private finish: (result: number | Error) => void = () => {};
  private writing = Promise.resolve();
  private next = 1;
  private granted = 0;
  private sent = 0;
  private taken = 0;
  private over = false;
  private heardAt: number;
  private unheard = 0;
  private onTaken: () => void = () => {};

  constructor(client: Client, write: Write, node: string) {
    this.client = client;
    this.write = write;
    this.id = client.ids.next();
    this.input = client.subjects.node.execInput(node, this.id);
    this.heardAt = client.clock.mono();
    this.ended = new Promise((resolve, reject) => {
      this.finish = (result) => (result instanceof Error ? reject(result) : resolve(result));
    });
    // A failure before anybody waits for the end is told by the request itself.
    this.ended.catch(() => {});
    const output = client.subjects.node.execOutput(node, this.id);
    // Subscribed before the agent is asked, so that the first piece is not missed.
    this.cancels.push(client.bus.subscribe(output, (message) => this.take(message)));
  }

  /** `look` asks the leader for the pod: a session whose node is gone would wait for ever. */
  start(look: () => Promise<unknown>): void {
    this.cancels.push(
      this.client.clock.every(aliveMs, () => this.grant()),
      this.client.clock.every(lookMs, () => {
        if (this.client.clock.mono() - this.heardAt < lookMs) return;
        void this.listenedTo();
        look().then(
          (pod) => {
            const { state } = (pod as { status: { state: string } }).status;
            if (state === "unknown" || state === "lost")
              this.finish(new SwainError("NODE_UNHEARD", "the pod's node is not heard any more"));
          },
          (error: unknown) => {
            if (error instanceof SwainError && error.code === "NOT_FOUND") this.finish(error);
          },
        );
      }),
    );
  }

  /** Ends it where nobody listens to the session any more: its agent was started anew, or its end was lost on the way. */
  private async listenedTo(): Promise<void> {
    const sign: ExecInput = { credit: 0 };
    const { bus } = this.client;
    const code = await bus.request(this.input, sign, { timeoutMs: signMs }).then(
      () => undefined,
      (error: unknown) => asSwainError(error).code,
    );
    // Who listens does not answer.
    this.unheard = code === "NO_LEADER" ? this.unheard + 1 : 0;
    if (this.unheard < mostUnheard) return;
    this.finish(
      new SwainError(
        "TIMEOUT",
        "the agent does not know this session any more: it was started anew, or its end was lost",
      ),
    );
  }

  /** Tells the size of the terminal whenever it changes. */
  follow(keys: Keys): void {
    this.cancels.push(
      keys.onResize(() => {
        const size = keys.size();
        if (size !== null) this.send(size);
      }),
    );
  }

  /** Sends what is typed, at most a window ahead of the program. */
  async feed(keys: Keys): Promise<void> {
    let sequence = 0;
    const room = async (): Promise<void> => {
      while (this.sent - this.taken >= limits.execInputWindow && !this.over) {
        await new Promise<void>((resolve) => {
          this.onTaken = resolve;
        });
      }
      this.sent += 1;
      sequence += 1;
    };
    try {
      for await (const bytes of keys.read()) {
        for (let at = 0; at < bytes.length; at += limits.execChunkBytes) {
          await room();
          if (this.over) return;
          const data = Buffer.from(bytes.subarray(at, at + limits.execChunkBytes)).toString("base64");
          this.send({ sequence, data });
        }
      }
    } catch {
      // The terminal is gone: for the program that is the end of its input.
    }
    await room();
    if (!this.over) this.send({ sequence, eof: true });
  }

  stop(): void {
    // Before the end it is the client who leaves.
    if (!this.over) this.send({ close: true });
    this.over = true;
    this.onTaken();
    for (const cancel of this.cancels.splice(0)) cancel();
  }

  private take(message: BusMessage): void {
    const output = message.json() as ExecOutput | undefined;
    if (typeof output?.sequence !== "number") return;
    this.heardAt = this.client.clock.mono();
    this.unheard = 0;
    if (output.taken !== undefined) {
      this.taken += output.taken;
      this.onTaken();
    }
    this.writing = this.writing.then(() => this.show(output));
  }

  private async show({ sequence, stream, data, end, exitCode, code, error }: ExecOutput): Promise<void> {
    if (sequence !== this.next) {
      this.finish(new SwainError("TIMEOUT", "a piece of the program's output was lost on the way"));
      return;
    }
    this.next += 1;
    if (data !== undefined) {
      await this.write(stream ?? "stdout", Buffer.from(data, "base64"));
      this.granted += 1;
      if (this.granted >= window / 2) this.grant();
    }
    if (end !== true) return;
    this.over = true;
    const known = code !== undefined && isCode(code) ? code : "ENGINE_ERROR";
    if (exitCode !== undefined && code === undefined) return this.finish(exitCode);
    const details = exitCode === undefined ? {} : { exitCode };
    this.finish(new SwainError(known, error ?? "the program was broken off", { details }));
  }

  /** Grants what was written since; also a sign of life when that is nothing. */
  private grant(): void {
    this.send({ credit: this.granted });
    this.granted = 0;
  }

  private send(message: ExecInput): void {
    this.client.bus.publish(this.input, message);
  }
}
