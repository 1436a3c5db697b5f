// When things of one kind happen in a script: as chance has it, so often on average.
import type { Chance } from "./chance.ts";

export const hourMs = 3_600_000;

/** Milliseconds since the world began, from `firstMs` on; what is drawn between two of them comes between their draws. */
export function* moments(chance: Chance, perHour: number, firstMs: number, untilMs: number): Generator<number> {
  const gapMs = hourMs / perHour;
  for (let at = chance.between(firstMs, gapMs); at < untilMs; at += chance.between(0, 2 * gapMs)) yield at;
}
