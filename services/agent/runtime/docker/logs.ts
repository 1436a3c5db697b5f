// A container's output. The engine sends both streams through one connection, each line in a frame with its time; the
// library takes them apart.
import { EventEmitter } from "node:events";
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { SwainError } from "../../../kernel/errors.ts";
import type { LogOptions } from "../driver.ts";
import { piecesOf } from "../output.ts";
import type { OnOutput } from "../output.ts";
import type { Engine } from "./engine.ts";
import { secondOf } from "./runs.ts";
import type { RunWindow } from "./runs.ts";
import { timeouts } from "./timeouts.ts";

/**
 * The library takes frames apart by recursion, two levels a frame, and a frame has at least nine bytes: pieces of this
 * size keep it far from the end of the stack whatever the container prints.
 */
const pieceBytes = 4096;

/** What an engine puts before each line: the time by RFC 3339 with nine digits of a second, and a space. */
const stamp = /^([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}(?:Z|[+-][0-9]{2}:[0-9]{2})) /;
const stampBytes = 40;

/** Whether a line of that time is handed over, milliseconds since 1970; asked of each line in order. */
type Keep = (time: number) => boolean;

/** Resolves when the output ended or the signal aborted. */
export async function readLogs(engine: Engine, id: string, options: LogOptions, onOutput: OnOutput): Promise<void> {
  const { follow, tail, signal } = options;
  const since = await sinceOf(engine, options);
  const query = { follow, tail: tail ?? "all", since: since / 1000 };
  // Not every engine counts in parts of a second.
  await read(engine, id, query, signal, (time) => time >= since, onOutput);
}

/** Podman's lines bear the second they were written in: rather one too many than one too few. */
async function sinceOf(engine: Engine, { since = 0 }: LogOptions): Promise<number> {
  return (await engine.isPodman()) ? secondOf(since) : since;
}

/** As `readLogs`, of one run in the middle of the log. Resolves with the number of lines that it has there. */
export async function readRun(
  engine: Engine,
  id: string,
  window: RunWindow,
  options: LogOptions,
  onOutput: OnOutput,
): Promise<number> {
  const from = Math.max(window.from ?? 0, await sinceOf(engine, options));
  const query = { follow: false, tail: "all", since: from / 1000 };
  const within: Keep = (time) => time >= from && time < window.until;
  let lines = 0;
  // Engines count a tail from the end of the log. The lines are counted first, so that none is kept in memory.
  if (options.tail !== undefined) {
    const count: Keep = (time) => {
      if (within(time)) lines += 1;
      return false;
    };
    await read(engine, id, query, options.signal, count, async () => {});
  }
  const skipped = Math.max(0, lines - (options.tail ?? lines));
  let seen = 0;
  const last: Keep = (time) => {
    if (!within(time)) return false;
    seen += 1;
    return seen > skipped;
  };
  await read(engine, id, query, options.signal, last, onOutput);
  return seen;
}

async function read(
  engine: Engine,
  id: string,
  query: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
  keep: Keep,
  onOutput: OnOutput,
): Promise<void> {
  if (signal.aborted) return;
  try {
    const stream = await engine.stream({
      what: `logs of ${id}`,
      method: "GET",
      path: `/containers/${id}/logs`,
      query: { ...query, stdout: true, stderr: true, timestamps: true },
      timeout: timeouts.streamOpens,
      signal,
    });
    await takeApart(stream, onOutput, signal, keep);
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof SwainError) throw error;
    throw new SwainError("ENGINE_UNREACHABLE", `logs of ${id} were cut off`, { cause: error });
  }
}

type Sink = { write(data: Buffer): void };
type Demultiplex = (source: EventEmitter, stdout: Sink, stderr: Sink) => void;

async function demultiplexer(): Promise<Demultiplex> {
  const { default: Dockerode } = await import("dockerode");
  // No connection is made: taking frames apart needs none.
  const modem = new Dockerode({ socketPath: "/" }).modem as unknown as { demuxStream: Demultiplex };
  return (source, stdout, stderr) => modem.demuxStream(source, stdout, stderr);
}

interface Part {
  readonly stream: "stdout" | "stderr";
  text: string;
  readonly times: number[];
}

/** Hands over what a stream of frames holds, by output stream, and destroys it at the end. */
export async function takeApart(
  stream: Readable,
  onOutput: OnOutput,
  signal: AbortSignal,
  keep: Keep = () => true,
): Promise<void> {
  const demultiplex = await demultiplexer();
  const source = new EventEmitter();
  const parts: Part[] = [];
  demultiplex(source, frames("stdout", parts, keep), frames("stderr", parts, keep));
  try {
    for await (const chunk of stream) {
      const bytes = chunk as Buffer;
      for (let at = 0; at < bytes.length; at += pieceBytes) source.emit("data", bytes.subarray(at, at + pieceBytes));
      // Nothing more is read from the engine until the receiver took these: that is the back-pressure.
      for (const { stream: name, text, times } of parts.splice(0)) {
        if (signal.aborted) return;
        await onOutput(name, text, times);
      }
    }
  } finally {
    stream.destroy();
  }
}

/** Takes the frames of one stream: each is a line, or a part of a long one, behind its time. */
function frames(name: "stdout" | "stderr", parts: Part[], keep: Keep): Sink {
  // A character may be cut in two by a frame's end.
  const decoder = new StringDecoder("utf8");
  return {
    write(data) {
      const found = stamp.exec(data.subarray(0, stampBytes).toString("latin1"));
      const time = found === null ? Date.now() : Date.parse(found[1] ?? "");
      if (!keep(time)) return;
      const text = decoder.write(data.subarray(found?.[0].length ?? 0));
      if (text === "") return;
      let part = parts.at(-1);
      if (part?.stream !== name) {
        part = { stream: name, text: "", times: [] };
        parts.push(part);
      }
      const goesOn = part.text !== "" && !part.text.endsWith("\n");
      part.text += text;
      for (let more = piecesOf(text) - (goesOn ? 1 : 0); more > 0; more -= 1) part.times.push(time);
    },
  };
}
