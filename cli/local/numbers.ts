// Whole numbers given as options.
import { SwainError } from "../../services/kernel/errors.ts";

/** The number an option holds; undefined when it was not given. Throws INVALID_ARGUMENT. */
export function wholeNumber(name: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  if (value >= least && value <= most) return value;
  throw new SwainError("INVALID_ARGUMENT", `--${name} is a whole number from ${least} to ${most}, not "${text}"`);
}
