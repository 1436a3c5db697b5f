// Tells systemd, when it started this process and asks for it, that the part is ready or stops. Node has no datagram sockets of
// that kind, so systemd's own `systemd-notify` says it; the units allow it with NotifyAccess=all.
import { execFile } from "node:child_process";
import type { Call } from "./command.ts";

/** Longer than that nobody waits for a word to systemd. */
const notifyMs = 5000;

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
