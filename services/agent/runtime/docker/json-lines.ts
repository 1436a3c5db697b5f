// Reads a stream of JSON values, one a line: the engine's events and pull progress.
import { StringDecoder } from "node:string_decoder";
import type { IncomingMessage } from "node:http";

/** No value of the engine comes near this; a longer line is dropped. */
const longestLine = 1024 * 1024;

/** The parsed values; what is no JSON object is left out. Ends or throws with the stream. */
export async function* jsonLines(stream: IncomingMessage): AsyncGenerator<Record<string, unknown>> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.write(chunk as Buffer)).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > longestLine) rest = "";
    for (const line of lines) {
      const value = parse(line);
      if (value) yield value;
    }
  }
  const last = parse(rest);
  if (last) yield last;
}

function parse(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
