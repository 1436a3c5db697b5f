// A container's output. The engine sends both streams through one connection; the library takes them apart.
import { EventEmitter } from "node:events";
import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { SwainError } from "../../../kernel/errors.ts";
import type { LogOptions } from "../driver.ts";
import type { Engine } from "./engine.ts";
import { timeouts } from "./timeouts.ts";

type OnChunk = (stream: "stdout" | "stderr", text: string) => Promise<void>;

/**
 * The library takes frames apart by recursion, two levels a frame, and a frame has at least nine bytes: pieces of this
 * size keep it far from the end of the stack whatever the container prints.
 */
const pieceBytes = 4096;

/** Resolves when the output ended or the signal aborted. */
export async function readLogs(engine: Engine, id: string, options: LogOptions, onChunk: OnChunk): Promise<void> {
  if (options.signal.aborted) return;
  try {
    const stream = await engine.stream({
      what: `logs of ${id}`,
      method: "GET",
      path: `/containers/${id}/logs`,
      query: { follow: options.follow, stdout: true, stderr: true, tail: options.tail ?? "all" },
      timeout: timeouts.streamOpens,
      signal: options.signal,
    });
    await takeApart(stream, onChunk, options.signal);
  } catch (error) {
    if (options.signal.aborted) return;
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

/** Hands over what a stream of frames holds, by output stream, and destroys it at the end. */
export async function takeApart(stream: Readable, onChunk: OnChunk, signal: AbortSignal): Promise<void> {
  const demultiplex = await demultiplexer();
  const source = new EventEmitter();
  const parts: { stream: "stdout" | "stderr"; text: string }[] = [];
  const sink = (name: "stdout" | "stderr"): Sink => {
    // A character may be cut in two by a frame's end.
    const decoder = new StringDecoder("utf8");
    return {
      write(data) {
        const text = decoder.write(data);
        const last = parts.at(-1);
        if (last?.stream === name) last.text += text;
        else if (text !== "") parts.push({ stream: name, text });
      },
    };
  };
  demultiplex(source, sink("stdout"), sink("stderr"));
  try {
    for await (const chunk of stream) {
      const bytes = chunk as Buffer;
      for (let at = 0; at < bytes.length; at += pieceBytes) source.emit("data", bytes.subarray(at, at + pieceBytes));
      // Nothing more is read from the engine until the receiver took these: that is the back-pressure.
      for (const { stream: name, text } of parts.splice(0)) {
        if (signal.aborted) return;
        await onChunk(name, text);
      }
    }
  } finally {
    stream.destroy();
  }
}
