// Tells whoever started this process, when it asks for it, that it is ready or stops: systemd, or another `swain`. Node has no
// datagram sockets of systemd's kind, so its own `systemd-notify` says it; the units allow it with NotifyAccess=all.
import { execFile } from "node:child_process";
import type { Call } from "./command.ts";

/** Longer than that nobody waits for a word to systemd. */
const notifyMs = 5000;

/** What a detached `swain up`, or a part of one, says to the process that started it. */
export type StarterMessage = { readonly line: string } | { readonly ready: true };

/** Says it over the channel of the starter, which unlike a log file also takes it when a disk is full. Does nothing without one. */
export function tellStarter(message: StarterMessage): void {
  // The starter has gone once it saw `ready`; nobody waits for later lines.
  if (process.connected) process.send?.(message, undefined, {}, () => {});
}

/** Does nothing where systemd does not listen. Resolves when it is said; a failure is told on standard error and changes nothing. */
export async function notifySystemd(call: Call, state: "READY=1" | "STOPPING=1"): Promise<void> {
  const socket = call.env["NOTIFY_SOCKET"];
  if (socket === undefined || socket === "") return;
  await new Promise<void>((resolve) => {
    const options = { timeout: notifyMs, env: { ...call.env, NOTIFY_SOCKET: socket } };
    execFile("systemd-notify", [state], options, (error) => {
      if (error !== null) call.terminal.err(`systemd could not be told ${state}: ${error.message}\n`);
      resolve();
    });
  });
}
