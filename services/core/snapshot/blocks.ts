// Lines of a snapshot as blocks of bytes of equal size, and back. A block may end anywhere, also within a character.

const encoder = new TextEncoder();

/** The lines, each with its line break, cut into blocks of that many bytes; the last one is shorter. */
export function* blocksOf(lines: Iterable<string>, blockBytes: number): Generator<Uint8Array> {
  let block = new Uint8Array(blockBytes);
  let used = 0;
  for (const line of lines) {
    const bytes = encoder.encode(`${line}\n`);
    for (let from = 0; from < bytes.length;) {
      const part = bytes.subarray(from, from + blockBytes - used);
      block.set(part, used);
      used += part.length;
      from += part.length;
      if (used < blockBytes) continue;
      yield block;
      block = new Uint8Array(blockBytes);
      used = 0;
    }
  }
  if (used > 0) yield block.subarray(0, used);
}

/** Gives the lines of blocks, in order. */
export class LineReader {
  private readonly decoder = new TextDecoder();
  private readonly onLine: (line: string) => void;
  private rest = "";

  constructor(onLine: (line: string) => void) {
    this.onLine = onLine;
  }

  take(block: Uint8Array): void {
    const lines = `${this.rest}${this.decoder.decode(block, { stream: true })}`.split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.onLine(line);
  }

  /** True when the last block ended with a line. */
  get isComplete(): boolean {
    return this.rest === "";
  }
}
