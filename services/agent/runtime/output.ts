// Output as drivers hand it over: text with the time of each of its lines.

/**
 * `times` has one number for each piece of the text, milliseconds since 1970 by this host's clock. A piece ends with a line
 * feed; the last one may lack it, and the first one may go on with an earlier line. Back-pressure: the next chunk waits for
 * the promise.
 */
export type OnOutput = (stream: "stdout" | "stderr", text: string, times: readonly number[]) => Promise<void>;

/** How many pieces a text has. */
export function piecesOf(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count += 1;
  return text === "" || text.endsWith("\n") ? count : count + 1;
}
