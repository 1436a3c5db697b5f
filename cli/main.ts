#!/usr/bin/env node
// The `swain` program: wires standard streams and signals to `dispatch.ts`. Knows no command.
import { dispatch } from "./dispatch.ts";
import { processTerminal } from "./terminal.ts";

// A reader that has seen enough (`swain get pods | head -1`) ends us quietly.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
}

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // The second one does not wait for an orderly end.
    if (interrupted.signal.aborted) process.exit(signal === "SIGINT" ? 130 : 143);
    interrupted.abort(new Error(`interrupted by ${signal}`));
  });
}

process.exitCode = await dispatch({
  argv: process.argv.slice(2),
  terminal: processTerminal(),
  env: process.env,
  signal: interrupted.signal,
});
