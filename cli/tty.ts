// The terminal of this process for a program that runs elsewhere: keys go through untouched, and its size is followed.
import { spawnSync } from "node:child_process";

export interface Keys {
  /** True when standard input is a terminal. */
  readonly interactive: boolean;
  /** Null where there is none, or none that a program could use: a terminal nobody sized has 0 columns. */
  size(): { readonly columns: number; readonly rows: number } | null;
  /** Calls back at each change of size, until cancelled. */
  onResize(changed: () => void): () => void;
  /** What is typed or piped, piece by piece; the next one is read when the promise is. */
  read(): AsyncIterable<Uint8Array>;
  /** Every key, Ctrl-C too, goes through as it is, until cancelled. */
  raw(): () => void;
  /** Reads no more, so that the process may end. */
  close(): void;
}

const usable = (columns: number, rows: number): ReturnType<Keys["size"]> =>
  columns > 0 && rows > 0 ? { columns, rows } : null;

/** The real one. */
export function processKeys(): Keys {
  const { stdin, stdout } = process;
  return {
    interactive: stdin.isTTY,
    size: () => (stdout.isTTY ? usable(stdout.columns, stdout.rows) : null),
    onResize(changed) {
      stdout.on("resize", changed);
      return () => stdout.off("resize", changed);
    },
    read: () => stdin as AsyncIterable<Uint8Array>,
    raw() {
      if (!stdin.isTTY) return () => {};
      stdin.setRawMode(true);
      // Node leaves line feeds to be translated, which the program's own terminal has done already. Without `stty` there
      // is a carriage return too many, which no terminal shows. Leaving the raw mode brings all settings back.
      spawnSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "ignore"] });
      return () => void stdin.setRawMode(false);
    },
    close: () => void stdin.destroy(),
  };
}
