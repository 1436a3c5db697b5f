// One session of `logs`: subscribes, asks, takes chunks in order, grants more as they were written, says gaps, and ends
// when the output does. The agent sends no more than was granted, so a slow terminal slows the pod's log and fills nothing.
import type { LogChunk, PodObject } from "../schemas/generated/types.ts";
import { limits } from "../services/bus/limits.ts";
import type { BusMessage } from "../services/bus/port.ts";
import { SwainError, isCode } from "../services/kernel/errors.ts";
import { untilAborted } from "./abort.ts";
import type { Since } from "./since.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./command.ts";

export interface WantedLogs {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string | undefined;
  readonly follow: boolean;
  readonly tail: number | undefined;
  readonly since: Since | null;
  readonly previous: boolean;
  /** Each line begins with its time. */
  readonly timestamps: boolean;
}

/** Who takes the output of a session. */
export interface LogSink {
  /** Takes one piece; the next one waits until it resolves, and so, at last, does the pod's node. */
  take(chunk: LogChunk): Promise<void>;
  /** Pieces were lost before the next one. */
  lost(pieces: number): void;
}

/** Chunks under way: 64 × 32 KiB is 2 MiB at most in flight. */
const window = 64;
/** The agent ends a session it hears nothing of for 30 s. */
const aliveMs = 10_000;
/** A log that is not followed comes without pauses; silence this long means that its agent is gone. */
const silentMs = 15_000;

/** Writes the output until it ends or the client's signal aborts. Throws NOT_FOUND, NODE_UNHEARD, BUSY … */
export async function showLogs(terminal: Terminal, client: Client, wanted: WantedLogs): Promise<void> {
  const { namespace, pod, timestamps } = wanted;
  const object = (await client.get(namespace, "pod", pod)) as unknown as PodObject;
  const { node } = object.spec;
  if (node === undefined) {
    throw new SwainError("NOT_FOUND", `pod ${pod} is on no node: ${object.status.message || object.status.state}`);
  }
  const stamps = new Stamps();
  await readLogs(client, node, wanted, {
    take: async (chunk) => {
      const text = timestamps ? stamps.stamped(chunk) : (chunk.text ?? "");
      if (chunk.stream === "stderr") terminal.err(text);
      else terminal.out(text);
      await terminal.drained();
    },
    lost: (pieces) => terminal.err(lostText(pieces)),
  });
}

/** What is said where pieces are missing. */
export const lostText = (pieces: number): string =>
  `\n(${pieces} ${pieces === 1 ? "piece" : "pieces"} of the log were lost on the way)\n`;

/** Reads the output of a pod on that node into the sink until it ends or the client's signal aborts. Throws as `showLogs`. */
export async function readLogs(client: Client, node: string, wanted: WantedLogs, sink: LogSink): Promise<void> {
  const { namespace, pod, container, follow, tail, since, previous } = wanted;
  const session = new LogSession(sink, client, client.ids.next(), wanted);
  // Subscribed before the agent is asked, so that the first chunk is not missed.
  session.listen(client.subjects.node.log(node, pod));
  try {
    const request = {
      session: session.id,
      name: pod,
      follow,
      credit: window,
      ...(container === undefined ? {} : { container }),
      ...(tail === undefined ? {} : { tail }),
      ...since,
      ...(previous ? { previous } : {}),
    };
    const reply = await client.ask(namespace, "pod", "logs", request, limits.askedNodeTimeoutMs);
    if (typeof reply.creditSubject === "string") session.start(reply.creditSubject);
    await untilAborted(session.ended, client.signal);
  } catch (error) {
    // Ctrl-C is how one stops following.
    if (!client.signal.aborted || !follow) throw error;
  } finally {
    session.stop();
  }
}

class LogSession {
  readonly id: string;
  readonly ended: Promise<void>;
  private readonly sink: LogSink;
  private readonly client: Client;
  private readonly wanted: WantedLogs;
  private readonly cancels: (() => void)[] = [];
  private finish: (error?: Error) => void = () => {};
  private writing = Promise.resolve();
  private next = 1;
  private granted = 0;
  private creditSubject = "";
  private restartSilence = (): void => {};

  constructor(sink: LogSink, client: Client, id: string, wanted: WantedLogs) {
    this.sink = sink;
    this.client = client;
    this.id = id;
    this.wanted = wanted;
    this.ended = new Promise((resolve, reject) => {
      this.finish = (error) => (error === undefined ? resolve() : reject(error));
    });
    // A failure before anybody waits for the end is told by the request itself.
    this.ended.catch(() => {});
  }

  listen(subject: string): void {
    this.cancels.push(this.client.bus.subscribe(subject, (message) => this.take(message)));
  }

  start(creditSubject: string): void {
    this.creditSubject = creditSubject;
    this.cancels.push(this.client.clock.every(aliveMs, () => this.grant()));
    if (this.wanted.follow) {
      this.cancels.push(this.client.clock.every(aliveMs, () => void this.look()));
      return;
    }
    let cancel = (): void => {};
    this.restartSilence = () => {
      cancel();
      const late = new SwainError("TIMEOUT", "the node sends nothing any more");
      cancel = this.client.clock.after(silentMs, () => this.finish(late));
    };
    this.restartSilence();
    this.cancels.push(() => cancel());
  }

  stop(): void {
    for (const cancel of this.cancels.splice(0)) cancel();
  }

  /** Output that is followed may be silent for ever; that of a pod that is no more ends, also where its node cannot say so. */
  private async look(): Promise<void> {
    const { namespace, pod } = this.wanted;
    const found = await this.client.find(namespace, "pod", pod).catch(() => undefined);
    if (found === undefined) return;
    const status = (found as PodObject | null)?.status;
    if (status === undefined) this.finish(new SwainError("DELETED", `pod ${pod} is not there any more`));
    else if (status.state === "lost")
      this.finish(new SwainError("NODE_UNHEARD", `pod ${pod} is lost: ${status.message}`));
  }

  private take(message: BusMessage): void {
    const chunk = message.json() as LogChunk | undefined;
    if (chunk?.session !== this.id) return;
    this.restartSilence();
    // Chunks are written one after the other, each as fast as standard output takes it.
    this.writing = this.writing.then(() => this.write(chunk));
  }

  private async write(chunk: LogChunk): Promise<void> {
    // Doubled on the way, or late: it counted as lost.
    if (chunk.text !== undefined && chunk.sequence < this.next) return;
    if (chunk.sequence > this.next) {
      const lost = chunk.sequence - this.next;
      // What was lost counts as taken, else the window would shrink with every loss.
      this.granted += lost;
      this.sink.lost(lost);
    }
    this.next = Math.max(this.next, chunk.sequence + 1);
    if (chunk.text !== undefined) {
      await this.sink.take(chunk);
      this.granted += 1;
      if (this.granted >= window / 2) this.grant();
    }
    if (chunk.end === true) this.finish(endOf(chunk));
  }

  /** Grants what was written since; also a sign of life when that is nothing. */
  private grant(): void {
    if (this.creditSubject === "") return;
    const { pod } = this.wanted;
    this.client.bus.publish(this.creditSubject, { session: this.id, credit: this.granted, pod });
    this.granted = 0;
  }
}

/** Puts the time before each line, also where a line comes in pieces. */
class Stamps {
  /** Streams whose last line is not at its end. */
  private readonly within = new Set<string>();

  /** The text with the time before each line that begins in it. */
  stamped({ text = "", times = [], stream = "stdout" }: LogChunk): string {
    const pieces = text.split(/(?<=\n)/);
    const lines = pieces.map((piece, index) => {
      const goesOn = index === 0 && this.within.has(stream);
      return goesOn ? piece : `${new Date(times[index] ?? 0).toISOString()} ${piece}`;
    });
    if (text.endsWith("\n")) this.within.delete(stream);
    else this.within.add(stream);
    return lines.join("");
  }
}

/** Why the output ended, undefined when it simply did. */
function endOf({ code, error }: LogChunk): SwainError | undefined {
  if (code === undefined && error === undefined) return undefined;
  const known = code !== undefined && isCode(code) ? code : "ENGINE_ERROR";
  return new SwainError(known, error ?? "the output was cut off");
}
