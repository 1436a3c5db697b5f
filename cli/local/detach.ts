// `swain up --detach`: starts `swain up` as a process of its own and waits until it is ready.
import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { join } from "node:path";
import type { Call } from "../command.ts";
import type { StarterMessage } from "../notify.ts";
import { localPaths } from "./layout.ts";
import { programPath } from "./launch.ts";
import { lastLines, openLog } from "./log-files.ts";

/** Shows the supervisor's lines; returns 0 when it is ready, its exit code when it ends before. */
export async function startDetached(data: string, call: Call): Promise<number> {
  const log = join(localPaths(data).log, "up.log");
  const { descriptor, from } = await openLog(log);
  const args = process.argv.slice(2).filter((arg) => arg !== "--detach" && arg !== "--detach=true");
  const child = spawn(process.execPath, [...process.execArgv, programPath, ...args], {
    stdio: ["ignore", descriptor, descriptor, "ipc"],
    detached: true,
    env: { ...call.env },
  });
  closeSync(descriptor);
  const onAbort = (): void => void child.kill("SIGTERM");
  call.signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await new Promise<number>((resolve) => {
      child.on("message", (message: StarterMessage) => {
        if ("line" in message) return call.terminal.out(`${message.line}\n`);
        resolve(0);
      });
      child.on("error", (error) => {
        call.terminal.err(`${error.message}\n`);
        resolve(1);
      });
      child.on("exit", (code) => {
        void lastLines(log, 20, from).then((lines) => {
          const shown = lines.slice(
            Math.max(
              0,
              lines.findIndex((line) => line.startsWith("error:")),
            ),
          );
          call.terminal.err(`${shown.join("\n")}\n`);
          resolve(code ?? 1);
        });
      });
    });
  } finally {
    call.signal.removeEventListener("abort", onAbort);
    if (child.connected) child.disconnect();
    child.unref();
  }
}
