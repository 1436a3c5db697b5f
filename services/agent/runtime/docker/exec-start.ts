// Whether a program that was asked for runs at all. Of one that cannot be run the engine sends the runtime's complaint as if
// the program had said it, so output waits until it is known who speaks: one look at the engine.
import { sleep } from "../../../kernel/clock.ts";
import type { Clock } from "../../../kernel/clock.ts";
import { SwainError } from "../../../kernel/errors.ts";
import type { OnExecOutput } from "../driver.ts";
import type { Engine } from "./engine.ts";
import type { ExecState } from "./exec.ts";
import { commandCodes, noCommand } from "./failures.ts";

/** Until the engine has noted that a program runs; after that its output is shown as it is. */
const looks = { everyMs: 20, times: 250 };

/** Podman's fixed words for a program that may not be run, beside those for one that is not there. */
const notAllowed = "OCI permission denied";

/** What every program in Go, both engines' runtimes among them, says of a file that is not there. */
const missing = ["executable file not found in", "no such file or directory", noCommand];

/**
 * What Podman adds to the error output, in a frame of its own, when a program ended before it read its input: about the
 * socket between Podman and its monitor, which is nothing of the program's.
 */
const ownNoise =
  /^Error: (?:read|write) unixpacket \S*\/attach: (?:read|write): (?:connection reset by peer|broken pipe)\r?\n$/;

export class ExecStart {
  private readonly parts: { readonly engine: Engine; readonly clock: Clock };
  private readonly look: () => Promise<ExecState>;
  private readonly program: string;
  private readonly onOutput: OnExecOutput;
  private runs: Promise<boolean> | undefined;
  private refusal: string | undefined;

  constructor(
    parts: { readonly engine: Engine; readonly clock: Clock },
    look: () => Promise<ExecState>,
    program: string,
    onOutput: OnExecOutput,
  ) {
    this.parts = parts;
    this.look = look;
    this.program = program;
    this.onOutput = onOutput;
  }

  /** Hands over what the program said; what the engine said in its place is kept for the error. */
  async take(stream: "stdout" | "stderr", data: Uint8Array, signal: AbortSignal): Promise<void> {
    // Nothing that is longer is a runtime's complaint.
    const text = Buffer.from(data.subarray(0, 4096)).toString();
    if (ownNoise.test(text) && (await this.parts.engine.isPodman())) return;
    this.runs ??= this.begun(text, signal);
    if (await this.runs) await this.onOutput(stream, data);
    else this.refusal ??= text;
  }

  /** Throws COMMAND_NOT_FOUND with `details.exitCode` as a shell gives it: 127 for not there, 126 for may not be run. */
  throwIfRefused(): void {
    const text = this.refusal;
    if (text === undefined) return;
    const absent = missing.some((words) => text.includes(words));
    const why = absent ? "is not in the container" : "may not be run in the container";
    throw new SwainError("COMMAND_NOT_FOUND", `command "${this.program}" ${why}`, {
      details: { exitCode: absent ? 127 : 126 },
    });
  }

  private async begun(text: string, signal: AbortSignal): Promise<boolean> {
    for (let time = 0; time < looks.times && !signal.aborted; time += 1) {
      const state = await this.look().catch(() => null);
      if (state === null || state.Pid > 0) return true;
      if (!state.Running && state.ExitCode !== null) {
        if (!commandCodes.has(state.ExitCode)) return true;
        // Docker knows the pid of every program that ever ran; Podman forgets it at the end, but has fixed words.
        return (await this.parts.engine.isPodman()) && !text.includes(noCommand) && !text.includes(notAllowed);
      }
      await sleep(this.parts.clock, looks.everyMs, signal).catch(() => {});
    }
    return true;
  }
}
