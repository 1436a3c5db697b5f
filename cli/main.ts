#!/usr/bin/env node
// The `swain` program: wires standard streams and signals to `dispatch.ts`. Knows no command.
import { dispatch } from "./dispatch.ts";
import { errorKinds } from "../services/kernel/errors.ts";
import { signalCounter, stillEnding } from "./impatience.ts";
import { processTerminal } from "./terminal.ts";

// A reader that has seen enough (`swain get pods | head -1`) ends us quietly.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    if (stream === process.stdout) {
      const reason = error.code === "ENOSPC" ? "no space is left where it goes" : error.message;
      const { action } = errorKinds.OUTPUT_FAILED;
      process.stderr.write(`error: OUTPUT_FAILED: the output cannot be written: ${reason}. ${action}\n`);
    }
    process.exit(1);
  });
}

const interrupted = new AbortController();
const signals = signalCounter();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    const count = signals(performance.now());
    if (count === null) return;
    if (count === 1) return interrupted.abort(new Error(`interrupted by ${signal}`));
    // An impatient second one must not leave containers, processes and folders behind: only the third does not wait.
    if (count > 2) process.exit(signal === "SIGINT" ? 130 : 143);
    process.stderr.write(stillEnding(process.argv.slice(2)));
  });
}

process.exitCode = await dispatch({
  argv: process.argv.slice(2),
  terminal: processTerminal(),
  env: process.env,
  signal: interrupted.signal,
});
