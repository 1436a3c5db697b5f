// Makes a running nats-server read its configuration again, and waits until it says that it has.
import { stat } from "node:fs/promises";
import { SwainError } from "../../services/kernel/errors.ts";
import type { ProcessMark } from "./layout.ts";
import { readFrom } from "./log-files.ts";
import { isAlive, signal } from "./processes.ts";

/** It takes milliseconds; a machine under load gets more. */
const reloadMs = 10_000;
const lookMs = 10;

/** Resolves when the users written are known. Rejects with NATS_UNREACHABLE, the reason taken from the server's log. */
export async function reloadServer(server: ProcessMark, log: string): Promise<void> {
  const from = (await stat(log)).size;
  signal(server, "SIGHUP");
  const deadline = performance.now() + reloadMs;
  for (;;) {
    const text = await readFrom(log, from);
    if (/Reloaded server configuration/.test(text)) return;
    const failed = /Failed to reload server configuration.*/.exec(text)?.[0];
    if (failed !== undefined) throw new SwainError("NATS_UNREACHABLE", `nats-server: ${failed} (${log})`);
    // Started again, it reads its configuration anyway.
    if (!isAlive(server)) return;
    if (performance.now() > deadline) {
      throw new SwainError(
        "NATS_UNREACHABLE",
        `nats-server did not read its configuration in ${reloadMs / 1000} s (${log})`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}
