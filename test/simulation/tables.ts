// Whether proxies know what the endpoints bucket holds.
import { controllerNames } from "./faults.ts";
import type { Troubles } from "./troubles.ts";

/** Endpoints as a proxy saves them: key, revision, value. */
export interface Table {
  readonly parts: readonly (readonly [string, number, unknown])[];
}

/**
 * A proxy knows what has been in the bucket for this long, unless something was wrong with it or the bus as recently as
 * this: a reader's request may take 5 s to fail, the next try may come 5 s later, and the table is saved a second after.
 */
const knownMs = 8000;
const cleanMs = 15_000;

export class Tables {
  private readonly now: () => number;
  private readonly troubles: Troubles;
  private readonly violate: (message: string) => void;
  /** Key of the endpoints bucket → its newest revision, less than zero where that removed it, and when that was first seen. */
  private readonly revisions = new Map<string, { readonly revision: number; readonly at: number }>();

  /** Key → the revision under which somebody wrote there what no proxy takes. */
  private readonly refused = new Map<string, number>();

  constructor(now: () => number, troubles: Troubles, violate: (message: string) => void) {
    this.now = now;
    this.troubles = troubles;
    this.violate = violate;
  }

  /** The log lost something, and the bucket may have, too. */
  forget(): void {
    this.revisions.clear();
    this.refused.clear();
  }

  /** Somebody wrote what is of no leader of this log, or older than what was there: proxies wait for a leader to write over it. */
  onRefused(key: string, revision: number): void {
    this.refused.set(key, revision);
  }

  /** What the endpoints bucket holds now: its newest revisions. Between two looks a key may have come and gone. */
  onEndpoints(revisions: ReadonlyMap<string, number>): void {
    // Of a bucket that was deleted nothing is left, not even markers.
    for (const key of this.revisions.keys()) if (!revisions.has(key)) this.revisions.delete(key);
    for (const [key, revision] of revisions) {
      if (this.revisions.get(key)?.revision !== revision) this.revisions.set(key, { revision, at: this.now() });
    }
  }

  /** What a proxy has written down of the endpoints. */
  onTable(proxy: string, { parts }: Table): void {
    const { troubles } = this;
    const isClean = troubles.isClean("bus", cleanMs) && troubles.isClean(proxy, cleanMs);
    // Who reads late what somebody makes of the bucket writes late over it.
    const isLate = controllerNames.some((name) => troubles.lasted(name, "lagging", this.now() - cleanMs) > 0);
    if (!isClean || isLate) return;
    const known = new Map(parts.map(([key, revision]) => [key, revision]));
    for (const [key, { revision, at }] of this.revisions) {
      if (this.refused.get(key) === revision) continue;
      const has = known.get(key);
      const isRight = revision < 0 ? has === undefined : has !== undefined && has >= revision;
      if (this.now() - at < knownMs || isRight) continue;
      this.violate(
        `proxy ${proxy} has ${has ?? "nothing"} for ${key}, the bucket ${revision < 0 ? "nothing" : revision}`,
      );
    }
  }
}
