// Feeds the table from the bus: a watch of the endpoints bucket, which is the truth, and the same values republished, which
// arrive sooner. Losing either, or the bus, changes nothing in the table.
import { subjectsOf } from "../bus/subjects.ts";
import type { Bus, BusMessage, BucketEntry } from "../bus/port.ts";
import { delayMs } from "../kernel/backoff.ts";
import type { Cancel, Clock } from "../kernel/clock.ts";
import { asSwainError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { proxyLimits } from "./limits.ts";
import { partKeyOf } from "./table.ts";
import type { EndpointTable, Outcome, Source } from "./table.ts";

interface FollowPorts {
  readonly clock: Clock;
  readonly bus: Bus;
  readonly log: Logger;
}

export interface FollowEvents {
  /** The parts of this service changed. */
  changed(service: string): void;
  /** A full load has been taken in. */
  loaded(): void;
}

const otherLog = { firstMs: proxyLimits.otherLogFirstMs, maxMs: proxyLimits.otherLogMaxMs, factor: 2 };

export class Follower {
  private readonly ports: FollowPorts;
  private readonly table: EndpointTable;
  private readonly events: FollowEvents;
  private readonly cluster: string;
  private readonly service: string | undefined;
  private readonly cancelState: Cancel;
  private readonly cancelHints: Cancel;
  private cancelWatch: Cancel = () => {};
  private cancelReload: Cancel | undefined;
  /** When that is due. */
  private reloadAt = Infinity;
  /** Loads asked for anew, of those that followed each other closely, and when the last of them was. */
  private reloads = 0;
  private reloadedAt = -Infinity;
  /** Loads asked for anew in a row because something was told that they do not reach up to. */
  private confirms = 0;
  private loadedEmpty = false;
  private saidAt = -Infinity;
  private stopped = false;

  /** `service` (`namespace/name`) narrows what is followed to one service. */
  constructor(
    ports: FollowPorts,
    cluster: string,
    service: string | undefined,
    table: EndpointTable,
    events: FollowEvents,
  ) {
    this.ports = ports;
    this.cluster = cluster;
    this.service = service;
    this.table = table;
    this.events = events;
    const subjects = subjectsOf(cluster);
    const [namespace = "", name = ""] = service?.split("/") ?? [];
    const subject = service === undefined ? subjects.endpointsAll : subjects.endpoints(namespace, name);
    const prefix = subjects.endpointsAll.slice(0, -1);
    this.cancelHints = ports.bus.subscribe(subject, (message) =>
      this.hint(message.subject.slice(prefix.length), message),
    );
    this.cancelState = ports.bus.onState(() => table.reconnected());
    this.watch();
  }

  stop(): void {
    this.stopped = true;
    this.cancelState();
    this.cancelHints();
    this.cancelWatch();
    this.cancelReload?.();
  }

  private watch(): void {
    this.cancelWatch();
    const { bus } = this.ports;
    const bucket = bus.bucket(subjectsOf(this.cluster).buckets.endpoints);
    this.cancelWatch = bucket.watch(this.service === undefined ? ">" : `${this.service.replace("/", ".")}.*`, {
      onEntry: (entry) => this.entry(entry),
      onLoaded: (keys) => this.loaded(keys),
    });
  }

  private hint(key: string, message: BusMessage): void {
    const revision = Number(message.header("Nats-Sequence"));
    if (!Number.isSafeInteger(revision) || revision <= 0) return;
    const operation = message.header("KV-Operation");
    // A lost hint costs a moment only: the watch tells the same.
    if (operation !== undefined) this.took(key, this.table.delete(key, revision, "hint"), "hint");
    else this.took(key, this.table.put(key, message.json(), revision, "hint"), "hint");
  }

  private entry({ key, value, revision }: BucketEntry): void {
    if (value === null) this.took(key, this.table.delete(key, revision, "watch"), "watch");
    else this.took(key, this.table.put(key, parsed(value), revision, "watch"), "watch");
  }

  private took(key: string, outcome: Outcome, source: Source): void {
    const isAside = outcome === "behind" || (outcome === "foreign" && source === "watch");
    if (outcome === "applied") this.changed(key);
    else if (outcome === "malformed") {
      this.say("a value in the endpoints bucket cannot be read and was left out", { key });
    } else if (isAside && this.table.logId !== undefined) {
      const what = outcome === "behind" ? "what was before: the log may have lost its end" : "values of another log";
      this.say(`LOG_UNKNOWN: the endpoints bucket holds ${what}; read anew before they are used`, { key });
      this.reloadLater(outcome === "behind" ? Math.min(this.paceMs(), proxyLimits.behindMaxMs) : this.paceMs());
      // What is used is not acknowledged any more.
      this.changed(key);
    } else if (isAside && this.loadedEmpty) {
      // The first load found nothing, so it could not tell the log; the next one can.
      this.reloadLater(0);
    }
  }

  private changed(key: string): void {
    const service = partKeyOf(key)?.service;
    if (service !== undefined) this.events.changed(service);
  }

  private loaded(keys: ReadonlySet<string>): void {
    const before = this.table.logId;
    this.loadedEmpty = keys.size === 0;
    for (const service of this.table.loaded(keys, this.ports.clock.mono())) this.events.changed(service);
    if (before !== undefined && this.table.logId !== before) {
      this.reloads = 0;
      this.ports.log.warn("following another log from here on", { before, now: this.table.logId });
    }
    // At a pace of its own: values of another log that come then are not to wait longer for it.
    if (this.table.hasUnconfirmed) this.reloadLater(delayMs(otherLog, this.confirms), true);
    else this.confirms = 0;
    void this.confirmGone(keys).finally(() => this.events.loaded());
  }

  /**
   * A load does not tell markers of keys deleted long ago, and without any live key the table keeps what it has. So keys that
   * are still there are asked for one by one: a marker is a proof, an absent key is not, except to a follower of one service
   * where the bucket has others of the same log.
   */
  private async confirmGone(keys: ReadonlySet<string>): Promise<void> {
    const bucket = this.ports.bus.bucket(subjectsOf(this.cluster).buckets.endpoints);
    const missing = this.table.keys().filter((key) => !keys.has(key));
    if (missing.length === 0) return;
    try {
      const absent: string[] = [];
      for (const key of missing) {
        const known = this.table.revisionOf(key) ?? 0;
        const entry = await bucket.get(key);
        if (this.stopped) return;
        if (entry === null) absent.push(key);
        // One of before what the bucket lost is of an earlier value than the one that is kept.
        else if (entry.value === null && (entry.revision > known || !this.table.hasUnconfirmed)) {
          this.entry({ ...entry, revision: Math.max(entry.revision, known + 1) });
        }
      }
      if (absent.length === 0) return;
      const revisions = absent.map((key) => [key, this.table.revisionOf(key)] as const);
      if (this.service !== undefined && !this.table.hasUnconfirmed && this.isOwnLog(await bucket.load())) {
        for (const [key, revision = 0] of revisions) this.entry({ key, value: null, revision: revision + 1 });
      } else {
        const fields = { keys: absent.length };
        this.say("endpoints the bucket does not hold are kept: nothing says that they were removed", fields);
      }
    } catch (error) {
      this.ports.log.warn("cannot tell removed endpoints from lost ones; they are kept", {
        error: asSwainError(error).message,
      });
    }
  }

  private isOwnLog(entries: ReadonlyMap<string, BucketEntry>): boolean {
    const { logId } = this.table;
    const values = [...entries.values()].map(({ value }) => (value === null ? null : parsed(value)));
    return values.some((value) => (value as { logId?: unknown } | null | undefined)?.logId === logId);
  }

  /** Values of another log count once a full load tells them; so one is asked for, at a falling pace while they go on. */
  private reloadLater(waitMs: number, isConfirming = false): void {
    const { clock } = this.ports;
    const at = clock.mono() + waitMs;
    if (this.cancelReload !== undefined && this.reloadAt <= at) return;
    this.cancelReload?.();
    this.reloadAt = at;
    this.cancelReload = clock.after(waitMs, () => {
      this.cancelReload = undefined;
      if (isConfirming) this.confirms += 1;
      else {
        this.reloads += 1;
        this.reloadedAt = clock.mono();
      }
      this.watch();
    });
  }

  private paceMs(): number {
    if (this.ports.clock.mono() - this.reloadedAt > otherLog.maxMs) this.reloads = 0;
    return delayMs(otherLog, this.reloads);
  }

  private say(message: string, fields: Readonly<Record<string, string | number>>): void {
    const now = this.ports.clock.mono();
    if (now - this.saidAt < proxyLimits.repeatLogMs) return;
    this.saidAt = now;
    this.ports.log.warn(message, fields);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
