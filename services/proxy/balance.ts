// Which of several backends gets a connection. Pure. `rotation.ts` says who may be chosen.
import { hashOf } from "../core/endpoints.ts";

/** The place of the fewest open connections; among equals the first, so whoever orders them by turn is fair. -1 for none. */
export function leastConnections(candidates: readonly { readonly open: number }[]): number {
  let best = -1;
  let fewest = Infinity;
  for (const [index, { open }] of candidates.entries()) {
    if (open >= fewest) continue;
    best = index;
    fewest = open;
  }
  return best;
}

/**
 * The place of the backend this address belongs to, by rendezvous hashing: every proxy finds the same one, and when a
 * backend goes only its own clients move. -1 for none.
 */
export function bySource(
  candidates: readonly { readonly pod: string; readonly hash: number }[],
  source: string,
): number {
  const key = hashOf(source);
  let best = -1;
  let most = -1;
  for (const [index, { pod, hash }] of candidates.entries()) {
    const score = scatter(key ^ hash);
    if (score < most || (score === most && pod >= (candidates[best]?.pod ?? ""))) continue;
    best = index;
    most = score;
  }
  return best;
}

/** The last step of MurmurHash3 (https://github.com/aappleby/smhasher): every bit of the input reaches every bit. */
function scatter(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
