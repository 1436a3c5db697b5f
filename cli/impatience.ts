// What a second signal means, while a command ends in order after the first. Pure; called by main.ts.
import { splitCommand } from "./dispatch.ts";

/** `timeout` and some shells send a signal to the process and to its group; nobody presses a key twice that fast. */
const doubledMs = 30;

/** Counts the signals that were meant: the count with this one, null when it only doubles the one before. */
export function signalCounter(): (now: number) => number | null {
  let count = 0;
  let last = -Infinity;
  return (now) => {
    const isDoubled = now - last < doubledMs;
    last = now;
    if (isDoubled) return null;
    count += 1;
    return count;
  };
}

/** What is said to one who asks a second time; only what starts a cluster can leave one behind. */
export function stillEnding(argv: readonly string[]): string {
  const { name } = splitCommand(argv);
  if (name !== "up" && name !== "demo") return "still ending in order; press Ctrl-C again to leave at once\n";
  const leaves = "(what a cluster leaves: `swain down --data FOLDER` ends it)";
  return `still cleaning up; press Ctrl-C again to leave at once ${leaves}\n`;
}
