// What people do to the buckets, which are none of theirs: a leader that sees it writes again what should be there.
import { bucketOrder, subjectsOf } from "../../../services/bus/subjects.ts";
import type { Chance } from "../chance.ts";
import type { World } from "./world.ts";

const { buckets } = subjectsOf("default");
const garbage = "garbage";
const ways = ["delete", "purge", garbage, "foreign", "changed", "older", "added"] as const;

/** Changes one key of one bucket. */
export function edit({ server, observer, trace }: World, chance: Chance): void {
  const bucket = buckets[chance.pick(bucketOrder)];
  const held = [...server.keys.values(bucket)];
  if (held.length === 0) return;
  const [key, value] = chance.pick(held);
  const way = chance.pick(ways);
  trace.note("world", "a bucket is edited", { bucket, key, way });
  if (way === "delete" || way === "purge") {
    server.strayPut(bucket, key, null, way === "purge" ? "PURGE" : "DEL");
    return;
  }
  const after = edited(value, way);
  const at = way === "added" ? `${key}-more` : key;
  const revision = server.strayPut(bucket, at, after);
  // No endpoints are kept under a key of another form.
  const isTaken = at === key && after !== garbage && way !== "foreign" && way !== "older";
  if (bucket === buckets.endpoints && !isTaken) observer.tables.onRefused(at, revision);
}

/** A value as somebody leaves it. */
function edited(value: string, way: typeof garbage | "foreign" | "changed" | "older" | "added"): string {
  const held = parsed(value);
  if (way === garbage || held === undefined) return garbage;
  const { sequence } = held as { sequence?: number };
  if (way === "foreign") return JSON.stringify({ ...held, logId: "other" });
  if (way === "older") return JSON.stringify({ ...held, sequence: (sequence ?? 1) - 1, edited: true });
  return JSON.stringify({ ...held, edited: true });
}

function parsed(text: string): object | undefined {
  try {
    const value = JSON.parse(text) as unknown;
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
