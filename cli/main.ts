#!/usr/bin/env node
// The `swain` program: wires standard streams and signals to `dispatch.ts`. Knows no command.
import { dispatch } from "./dispatch.ts";
import { signalCounter, stillEnding } from "./impatience.ts";
import { processTerminal } from "./terminal.ts";

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
