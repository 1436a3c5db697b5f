// What to make of a KV value that is not the one expected. Pure.
import { numberField, stringField } from "../record.ts";

/**
 * same: it is what should be there. older: an earlier projection of this log, or one of a log that it continues, to be
 * overwritten. newer: a projection of events not folded here yet, which must not be overwritten. edited: anything else; someone
 * changed it by hand.
 */
export type Found = "same" | "older" | "newer" | "edited";

/** `sequence` is the last one folded: nothing newer can honestly be in KV unless another leader leads. */
export function judge(
  found: string | null,
  wanted: string | null,
  log: { readonly logId: string; readonly sequence: number; readonly parents: readonly string[] },
): Found {
  if (found === wanted) return "same";
  // A missing key is what a new object starts from, and what an older state may have had.
  if (found === null) return "older";
  const value = parse(found);
  const sequence = numberField(value, "sequence");
  const of = stringField(value, "logId");
  if (of === undefined || sequence === undefined) return "edited";
  // A restore leaves the buckets as they are, beyond the end of the backup, too.
  if (log.parents.includes(of)) return "older";
  if (of !== log.logId) return "edited";
  if (sequence > log.sequence) return "newer";
  const own = wanted === null ? undefined : numberField(parse(wanted), "sequence");
  return own !== undefined && sequence >= own ? "edited" : "older";
}

/** The log a value says that it was projected from; undefined for one that somebody else wrote. */
export const logOf = (value: string): string | undefined => stringField(parse(value), "logId");

/** The cluster a value says that it is of; undefined where it says none. */
export const clusterOf = (value: string): string | undefined => stringField(parse(value), "clusterUid");

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
