// The endpoints as this proxy knows them: one part per key of the endpoints bucket (a head and shards per service). Pure
// state, no I/O; it decides which of several values of a key is the newest, and what may make a key go away.
// `follow.ts` feeds it from the bus, `store.ts` from disk; `backends.ts` reads it.
import { endpointsHead, endpointsShard } from "../../schemas/generated/state.js";
import type { EndpointsHead, EndpointsShard } from "../../schemas/generated/types.ts";
import { proxyLimits } from "./limits.ts";

/** Orders the values of one key within one log. */
interface Version {
  readonly logId: string;
  readonly sequence: number;
  readonly revision: number;
}

type PartValue =
  | { readonly head: EndpointsHead; readonly shard?: never; readonly before?: never }
  /** `before`: what a shard told last before all were made anew, which others may not be yet. */
  | { readonly shard: EndpointsShard; readonly head?: never; readonly before?: EndpointsShard };

/** The newest known value of one key. */
export type Part = Version & PartValue;

/** The parts of one service by their last key token: `head`, `0`, `1` … */
export type Parts = ReadonlyMap<string, Part>;

/**
 * Where a value came from. `watch` is the truth and tells deletions, other logs and full loads; `hint` is the same value
 * republished, which arrives sooner but may come doubled or not at all.
 */
export type Source = "watch" | "hint";

/**
 * What became of a value. `older` includes the same again. What does not follow from what is known is kept aside for the next
 * full load: `foreign` = of another log, `behind` = of an earlier event of this one, so that either a leader of before wrote
 * it, and will be corrected, or the log lost its end.
 */
export type Outcome = "applied" | "older" | "foreign" | "behind" | "malformed";

export interface PartKey {
  /** `namespace/name` */
  readonly service: string;
  readonly part: string;
}

/** `default.web.head` → service `default/web`, part `head`; undefined for a key no endpoints are kept under. */
export function partKeyOf(key: string): PartKey | undefined {
  const [namespace, name, part, ...rest] = key.split(".");
  if (!namespace || !name || !part || rest.length > 0 || !/^(?:head|0|[1-9]\d*)$/.test(part)) return undefined;
  return { service: `${namespace}/${name}`, part };
}

export class EndpointTable {
  private log: string | undefined;
  private readonly parts = new Map<string, Map<string, Part>>();
  /** Values, by key, that do not follow from what is known, until a full load says what the bucket holds. */
  private readonly aside = new Map<string, Part>();
  /** Versions of removed keys, so that a value that comes late does not bring them back. */
  private readonly removed = new Map<string, Version>();
  /** Since the last full load: keys told as deleted and not written again, keys known from a hint alone, and the highest revision told. */
  private readonly deletions = new Set<string>();
  private readonly hinted = new Set<string>();
  private toldRevision = 0;
  /** The highest revision told, or removed, up to the last full load: what is below and not in that is gone. */
  private loadedRevision = 0;
  private unconfirmed = false;
  /** Since the last full load a key was told below a revision that it was told at. */
  private toldBelow = false;
  /** A full load was told over the connection that there is now. */
  private isTold = false;
  /** When the bucket was seen to have gone back, monotonic; null while it has all that is known. */
  private wentBackAt: number | null = null;

  /** The log the endpoints belong to; undefined before the first full load. */
  get logId(): string | undefined {
    return this.log;
  }

  services(): Iterable<string> {
    return this.parts.keys();
  }

  /**
   * Whether something was told that is later than all of the last full load. A hint came meanwhile, the bucket has lost it, or
   * it was removed so long ago that nothing tells of it: the next loads tell.
   */
  get hasUnconfirmed(): boolean {
    return this.unconfirmed;
  }

  /** Every key with a part. */
  keys(): string[] {
    const keys: string[] = [];
    for (const [service, parts] of this.parts) for (const name of parts.keys()) keys.push(keyOf(service, name));
    return keys;
  }

  /** The revision of the key's value; undefined without one. */
  revisionOf(key: string): number | undefined {
    const at = partKeyOf(key);
    return at && this.parts.get(at.service)?.get(at.part)?.revision;
  }

  partsOf(service: string): Parts {
    return this.parts.get(service) ?? none;
  }

  /**
   * Per part of the service the sequence applied: 0 for a part that should be there and is not loaded
   * yet, or of which the bucket may hold another value than the one used.
   */
  appliedOf(service: string): Record<string, number> {
    const parts = this.partsOf(service);
    const head = parts.get("head");
    const applied: Record<string, number> = { head: 0 };
    for (let index = 0; index < (head?.head?.shards ?? 0); index += 1) applied[index] = 0;
    for (const [name, part] of parts) if (!this.aside.has(keyOf(service, name))) applied[name] = part.sequence;
    return applied;
  }

  /**
   * The same as it may be acknowledged; undefined for a service that has no endpoints, as one that was deleted. What is known from
   * before this connection, or from disk, is not: until the next full load something may have been missed.
   */
  acknowledged(service: string): Record<string, number> | undefined {
    const applied = this.appliedOf(service);
    if (!this.isTold) return Object.fromEntries(Object.keys(applied).map((part) => [part, 0]));
    return this.parts.has(service) || this.unconfirmed ? applied : undefined;
  }

  /** The connection was lost, or there is another: something may have been missed. */
  reconnected(): void {
    this.isTold = false;
  }

  /** Takes a key's value if it is newer than what is known. */
  put(key: string, value: unknown, revision: number, source: Source): Outcome {
    const at = partKeyOf(key);
    const part = at === undefined ? undefined : partOf(at.part, value, revision);
    if (at === undefined || part === undefined) return "malformed";
    if (source === "watch") this.toldRevision = Math.max(this.toldRevision, revision);
    const known = this.parts.get(at.service)?.get(at.part) ?? this.removed.get(key);
    if (known?.logId === part.logId) {
      if (source === "watch") {
        this.aside.delete(key);
        this.heed(key, known, revision);
      }
      return this.putNewer(key, at, part, known, source);
    }
    // One that comes late brings nothing back: the watch tells what is there.
    if (source === "hint" && known === undefined && revision <= this.loadedRevision) return "older";
    if (part.logId === this.log) return this.set(key, at, part, source);
    if (source === "watch") this.aside.set(key, part);
    return "foreign";
  }

  /** Removes a key that was deleted in the bucket. */
  delete(key: string, revision: number, source: Source): Outcome {
    const at = partKeyOf(key);
    if (at === undefined) return "malformed";
    const known = this.parts.get(at.service)?.get(at.part);
    if (source === "watch") {
      this.toldRevision = Math.max(this.toldRevision, revision);
      this.aside.delete(key);
      if (known !== undefined) this.heed(key, known, revision);
      // A hint may have told already that it was written again.
      if (known === undefined || !this.isAhead(key, known, revision)) this.deletions.add(key);
    }
    if (known === undefined || known.revision >= revision) return "older";
    this.remove(key, at, revision);
    return "applied";
  }

  /**
   * A full load has been told: `keys` are all live ones. Takes the log most of them belong to, and lets go what is not
   * among them. Where no live key is of a known log, only keys told as deleted go: an empty bucket is more often a lost
   * one. Where the bucket went back, a power cut took its end, and a leader writes anew what was in it, at revisions that others had:
   * what it does not hold is kept for a while. Gives the services that changed.
   */
  loaded(keys: ReadonlySet<string>, now: number): ReadonlySet<string> {
    const touched = new Set<string>();
    this.isTold = true;
    this.unconfirmed = this.runsAhead(keys);
    const log = this.majorityLog(keys);
    if (log !== undefined) this.log = log;
    for (const [key, part] of this.aside) {
      if (!keys.has(key)) this.aside.delete(key);
      else if (part.logId === log) this.take(key, part, touched);
    }
    const mayKeep = this.isBack(keys, log, now);
    let isKept = false;
    for (const [service, parts] of this.parts) {
      for (const [name, part] of parts) {
        const key = keyOf(service, name);
        if (keys.has(key)) continue;
        if (!this.deletions.has(key) && (log === undefined || (part.logId === log && mayKeep))) {
          isKept ||= mayKeep;
          continue;
        }
        this.remove(key, { service, part: name }, part.revision);
        touched.add(service);
      }
    }
    if (!isKept) this.wentBackAt = null;
    this.unconfirmed ||= isKept;
    this.toldBelow = false;
    this.loadedRevision = this.toldRevision;
    for (const { revision } of this.removed.values()) this.loadedRevision = Math.max(this.loadedRevision, revision);
    this.removed.clear();
    this.deletions.clear();
    this.hinted.clear();
    this.toldRevision = 0;
    return touched;
  }

  /** Every known part, for `restore`. */
  save(): SavedTable {
    const saved: [string, number, unknown][] = [];
    for (const [service, parts] of this.parts) {
      for (const [name, part] of parts) saved.push([keyOf(service, name), part.revision, part.head ?? part.shard]);
    }
    return { logId: this.log ?? null, parts: saved };
  }

  /** Takes what `save` gave, into an empty table. What does not fit the schemas is left out. */
  restore(saved: SavedTable): void {
    this.log = saved.logId ?? undefined;
    for (const [key, revision, value] of saved.parts) {
      const at = partKeyOf(key);
      const part = at === undefined ? undefined : partOf(at.part, value, revision);
      if (at !== undefined && part !== undefined) this.set(key, at, part, "watch");
    }
  }

  private putNewer(key: string, at: PartKey, part: Part, known: Version, source: Source): Outcome {
    // The watch tells a key's values in their order, so an equal sequence is a correction; a hint must prove itself newer.
    const enough =
      source === "watch" && !this.removed.has(key) ? part.revision !== known.revision : part.revision > known.revision;
    if (part.sequence > known.sequence || (part.sequence === known.sequence && enough)) {
      return this.set(key, at, part, source);
    }
    // Hints run ahead of the watch, which tells what was before them in its time.
    if (source === "hint" || this.isAhead(key, known, part.revision)) return "older";
    this.hinted.delete(key);
    if (part.sequence === known.sequence && !this.removed.has(key)) return "older";
    this.aside.set(key, part);
    return "behind";
  }

  /** True when the key is known, or known to be removed, from a hint alone, which is later than that revision. */
  private isAhead(key: string, known: Version, revision: number): boolean {
    const isHinted = this.hinted.has(key) || (this.removed.has(key) && !this.deletions.has(key));
    return isHinted && known.revision > revision;
  }

  /** A bucket that tells a key below the revision it was told at went back. */
  private heed(key: string, known: Version, revision: number): void {
    this.toldBelow ||= revision < known.revision && !this.isAhead(key, known, revision);
  }

  private runsAhead(keys: ReadonlySet<string>): boolean {
    for (const [service, parts] of this.parts) {
      for (const [name, part] of parts) if (this.isAhead(keyOf(service, name), part, this.toldRevision)) return true;
    }
    for (const [key, version] of this.removed) {
      if (keys.has(key) && this.isAhead(key, version, this.toldRevision)) return true;
    }
    return false;
  }

  private set(key: string, { service, part: name }: PartKey, part: Part, source: Source): Outcome {
    let parts = this.parts.get(service);
    if (parts === undefined) this.parts.set(service, (parts = new Map()));
    parts.set(name, withBefore(part, parts.get(name), parts.get("head")));
    this.removed.delete(key);
    this.deletions.delete(key);
    if (source === "hint") this.hinted.add(key);
    else this.hinted.delete(key);
    return "applied";
  }

  private take(key: string, part: Part, touched: Set<string>): void {
    const at = partKeyOf(key);
    this.aside.delete(key);
    if (at === undefined) return;
    const known = this.parts.get(at.service)?.get(at.part);
    if (known !== undefined && this.isAhead(key, known, this.toldRevision)) return;
    this.set(key, at, part, "watch");
    touched.add(at.service);
  }

  private remove(key: string, { service, part: name }: PartKey, revision: number): void {
    const parts = this.parts.get(service);
    const part = parts?.get(name);
    if (parts === undefined || part === undefined) return;
    parts.delete(name);
    if (parts.size === 0) this.parts.delete(service);
    this.hinted.delete(key);
    this.removed.set(key, { logId: part.logId, sequence: part.sequence, revision });
    if (this.removed.size > proxyLimits.removedKeys) {
      for (const oldest of this.removed.keys()) {
        this.removed.delete(oldest);
        break;
      }
    }
  }

  /**
   * True for a while from when the bucket told a key, or all its keys, below a revision that is known, or one key at the
   * revision of another.
   */
  private isBack(keys: ReadonlySet<string>, log: string | undefined, now: number): boolean {
    if (this.toldBelow) this.wentBackAt = now;
    else if (this.endsBelow(keys, log) || this.isReused(keys, log)) this.wentBackAt ??= now;
    return this.wentBackAt !== null && now - this.wentBackAt < proxyLimits.wentBackMs;
  }

  private endsBelow(keys: ReadonlySet<string>, log: string | undefined): boolean {
    const last = this.lastOf(keys);
    for (const [service, parts] of this.parts) {
      for (const [name, { revision, logId }] of parts) {
        if (revision > last && (log === undefined || logId === log) && !keys.has(keyOf(service, name))) return true;
      }
    }
    return false;
  }

  /** True when one of those keys has the revision of one that is missing: a bucket gives each once, unless it went back. */
  private isReused(keys: ReadonlySet<string>, log: string | undefined): boolean {
    const told = new Set([...keys].map((key) => this.toldAt(key)));
    for (const [service, parts] of this.parts) {
      for (const [name, { revision, logId }] of parts) {
        if (logId === log && told.has(revision) && !keys.has(keyOf(service, name))) return true;
      }
    }
    return false;
  }

  /** The highest revision of those keys. */
  private lastOf(keys: ReadonlySet<string>): number {
    let last = 0;
    for (const key of keys) last = Math.max(last, this.toldAt(key));
    return last;
  }

  private toldAt(key: string): number {
    const at = partKeyOf(key);
    const part = this.aside.get(key) ?? (at && this.parts.get(at.service)?.get(at.part));
    return part?.revision ?? 0;
  }

  private majorityLog(keys: ReadonlySet<string>): string | undefined {
    const counts = new Map<string, number>();
    for (const key of keys) {
      const at = partKeyOf(key);
      const log = this.aside.get(key)?.logId ?? (at && this.parts.get(at.service)?.get(at.part)?.logId);
      if (log !== undefined) counts.set(log, (counts.get(log) ?? 0) + 1);
    }
    let best: string | undefined;
    for (const [log, count] of counts) {
      const bestCount = best === undefined ? 0 : (counts.get(best) ?? 0);
      // At a tie the log already followed stays.
      if (count > bestCount || (count === bestCount && log === this.log)) best = log;
    }
    return best;
  }
}

/** What is kept on disk. */
export interface SavedTable {
  readonly logId: string | null;
  /** Key, revision, value. */
  readonly parts: readonly (readonly [string, number, unknown])[];
}

const none: Parts = new Map();

/** A shard that is the first of its name since all were made anew, with what it told before. */
function withBefore(part: Part, known: Part | undefined, head: Part | undefined): Part {
  if (part.shard === undefined || known?.shard === undefined || known.logId !== part.logId) return part;
  const isFirst = known.sequence < (head?.sequence ?? 0) && part.sequence >= (head?.sequence ?? 0);
  return isFirst ? { ...part, before: known.shard } : part;
}

const keyOf = (service: string, part: string): string => `${service.replace("/", ".")}.${part}`;

function partOf(name: string, value: unknown, revision: number): Part | undefined {
  if (name === "head") {
    if (!endpointsHead(value)) return undefined;
    return { logId: value.logId, sequence: value.sequence, revision, head: value };
  }
  if (!endpointsShard(value)) return undefined;
  return { logId: value.logId, sequence: value.sequence, revision, shard: value };
}
