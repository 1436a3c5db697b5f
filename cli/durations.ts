// Durations among a command's options.
import { parseDurationMs } from "../services/core/quantity.ts";
import { SwainError } from "../services/kernel/errors.ts";
import type { Call } from "./command.ts";

/** The option as milliseconds: `90s`, `2m`. Throws INVALID_ARGUMENT. */
export function durationMs(call: Pick<Call, "option">, name: string): number | undefined {
  const text = call.option(name);
  if (text === undefined) return undefined;
  try {
    return parseDurationMs(text);
  } catch {
    throw new SwainError("INVALID_ARGUMENT", `--${name} must be a duration such as 90s or 2m, not "${text}"`);
  }
}
