// What was recommended lately, for the stabilisation windows. It lives in the leader's memory and begins, at the start of
// a term and with each apply, with the count of replicas there is: so nothing is scaled down before a whole window was
// observed, whatever an earlier leader may have seen.

interface Slot {
  /** First and last observation, milliseconds of the leader's clock. */
  readonly from: number;
  readonly to: number;
  readonly low: number;
  readonly high: number;
}

/** Oldest first. */
export type History = readonly Slot[];

/** A history is cut into so many parts at most, which makes a window longer by up to a hundredth, never shorter. */
const parts = 100;

/** Begins a history with the replicas there are. */
export const begin = (replicas: number, now: number): History => [
  { from: now, to: now, low: replicas, high: replicas },
];

/** The history with one recommendation more, kept for `windowMs`. */
export function observe(history: History, recommended: number, now: number, windowMs: number): History {
  const kept = history.filter(({ to }) => to >= now - windowMs);
  const last = kept.at(-1);
  if (last === undefined || now - last.from >= windowMs / parts) {
    return [...kept, { from: now, to: now, low: recommended, high: recommended }];
  }
  const low = Math.min(last.low, recommended);
  const high = Math.max(last.high, recommended);
  return [...kept.slice(0, -1), { from: last.from, to: now, low, high }];
}

const within = (history: History, now: number, windowMs: number): History =>
  history.filter(({ to }) => to >= now - windowMs);

/** The most that was recommended in the window, `recommended` now included. */
export function highest(history: History, recommended: number, now: number, windowMs: number): number {
  return Math.max(recommended, ...within(history, now, windowMs).map(({ high }) => high));
}

/** The least that was recommended in the window, `recommended` now included. Without a window only now counts. */
export function lowest(history: History, recommended: number, now: number, windowMs: number): number {
  return windowMs === 0 ? recommended : Math.min(recommended, ...within(history, now, windowMs).map(({ low }) => low));
}
