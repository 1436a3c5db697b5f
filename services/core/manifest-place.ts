// Places of a document that may be malformed anywhere, and what several checks of its meaning share.
import type { ManifestProblem } from "./manifest-problem.ts";
import { pointerTo } from "./manifest-schema.ts";

export type Fields = Readonly<Record<string, unknown>>;

export interface Place {
  readonly path: string;
  readonly value: unknown;
}

export const fieldsOf = (value: unknown): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};

export const at = (place: Place, field: string): Place => ({
  path: pointerTo(place.path, field),
  value: fieldsOf(place.value)[field],
});

export const entries = (place: Place): Place[] =>
  Array.isArray(place.value) ? place.value.map((value, index) => ({ path: pointerTo(place.path, index), value })) : [];

/** The parsed amount; undefined when it is absent or, as the schema tells, not one. */
export function quantityOf(value: unknown, parse: (quantity: string | number) => number): number | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  try {
    return parse(value);
  } catch {
    return undefined;
  }
}

/** The places whose field has a value that an earlier one has. */
export function duplicates(places: readonly Place[], field: string, message: string): ManifestProblem[] {
  const seen = new Set<unknown>();
  const problems: ManifestProblem[] = [];
  for (const place of places) {
    const { path, value } = at(place, field);
    if (typeof value !== "string" && typeof value !== "number") continue;
    if (seen.has(value)) problems.push({ path, code: "DUPLICATE", message, value });
    seen.add(value);
  }
  return problems;
}
