// Restart budgets: who ran stably starts again at once, and who does not waits longer each time.
import type { EventItem } from "../../schemas/generated/types.ts";
import type { Key } from "../../services/core/model.ts";
import type { Troubles } from "./troubles.ts";

/** Running this long gives a pod its budget back; between a container's start and its agent seeing it there is some time. */
const stableMs = 60_000 + 2000;
/** Of restarts that wait 0, 1, 2, 4 … 32 s a minute holds seven at most, and some more where one begins anew. */
const mostStarts = 10;
const windowMs = 60_000;
/** What an agent's own reckoning goes on under. */
const harmless: ReadonlySet<string> = new Set([
  "cut",
  "cutUp",
  "cutDown",
  "cutSome",
  "flap",
  "reset",
  "slow",
  "lossy",
  "gappy",
  "echoing",
  "killContainers",
]);
const endings: ReadonlySet<string> = new Set(["EXITED", "OOM_KILLED"]);

export class Restarts {
  private readonly now: () => number;
  private readonly troubles: Troubles;
  private readonly violate: (message: string) => void;
  /** `node pod` → container → its last starts. */
  private readonly starts = new Map<string, Map<string, number[]>>();
  /** When the log last lost something, and with it when pods began to run. */
  private forgotAt = -Infinity;
  /** How long the container of a pod ran that has ended now, milliseconds; null when there is none. */
  lastRunMs: (node: string, pod: Key) => number | null = () => null;

  constructor(now: () => number, troubles: Troubles, violate: (message: string) => void) {
    this.now = now;
    this.troubles = troubles;
    this.violate = violate;
  }

  /** The log lost its end, and may give the name of a pod again. */
  forget(): void {
    this.forgotAt = this.now();
    this.starts.clear();
  }

  /** An event says something of a pod on that node. */
  onPod(item: Extract<EventItem, { kind: "pod" }>, node: string | null | undefined, key: Key, sequence: number): void {
    if (item.verb === "removed") this.starts.delete(`${node} ${key}`);
    if (item.verb !== "backoff" || !endings.has(item.observed.reason) || typeof node !== "string") return;
    const ran = this.lastRunMs(node, key);
    if (ran === null || ran < stableMs || !this.troubles.isClean(node, ran + stableMs, harmless)) return;
    const since = this.now() - ran - stableMs;
    // Noted for the bus alone: an agent that lost its power with all others does not know for how long its pods ran.
    if (this.forgotAt > since || this.troubles.lasted("bus", "everythingOff", since) > 0) return;
    this.violate(`event ${sequence}: ${key} waits to start again though it ran for ${Math.round(ran)} ms`);
  }

  /** A container of a pod starts. */
  onStart(node: string, key: Key, container: string): void {
    const ofPod = this.starts.get(`${node} ${key}`) ?? new Map<string, number[]>();
    const last = [...(ofPod.get(container) ?? []), this.now()].filter((at) => at > this.now() - windowMs);
    this.starts.set(`${node} ${key}`, ofPod.set(container, last));
    if (last.length <= mostStarts || !this.troubles.isClean(node, windowMs, harmless)) return;
    this.violate(`node ${node} starts ${key} ${last.length} times within a minute`);
  }
}
