// Runs a command on a terminal of its own (a pseudo-terminal made by util-linux's `script`), as a person would.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { root } from "./cluster.ts";

const main = join(root, "dist/cli/main.js");
const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

export interface OnTerminal {
  /** Everything shown so far, control sequences included. */
  readonly shown: () => string;
  /** The exit code. */
  readonly ended: Promise<number>;
  /** Presses keys: `\u0003` is Ctrl-C. */
  type(keys: string): void;
}

/** Starts `swain` with the arguments on a terminal of 100 columns and 30 rows. */
export function onTerminal(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  size = { columns: 100, rows: 30 },
): OnTerminal {
  const line = [process.execPath, main, ...args].map(quoted).join(" ");
  const child = spawn("script", ["-qefc", `stty cols ${size.columns} rows ${size.rows}; exec ${line}`, "/dev/null"], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, TERM: "xterm-256color", NO_COLOR: "", SHELL: "/bin/sh", ...env },
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const ended = new Promise<number>((resolve) => child.once("close", (code) => resolve(code ?? 1)));
  return { shown: () => text, ended, type: (keys) => void child.stdin.write(keys) };
}
