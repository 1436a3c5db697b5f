// How everybody who folds the log begins: from the newest snapshot that is whole and belongs to the log, and from there
// through the rest of the log; from the log's own beginning where no snapshot helps.
import { limits } from "../../bus/limits.ts";
import type { Clock } from "../../kernel/clock.ts";
import { SwainError, asSwainError } from "../../kernel/errors.ts";
import { Ledger } from "../ledger.ts";
import { loadSnapshot, storedSnapshots } from "./store.ts";
import type { SnapshotPorts, StoredSnapshot } from "./store.ts";

export interface OpenOptions {
  readonly onForeign: (sequence: number) => void;
  /** A snapshot that cannot be used. */
  readonly onProblem: (problem: SwainError, id: string) => void;
  /** Fold no further than this. */
  readonly upTo?: number;
  /**
   * newest (default): as fast as it goes. oldest: leaning on as few snapshots as can be: on none while the log still has
   * its beginning, else on the older one.
   */
  readonly order?: "newest" | "oldest";
  /** To note when events are folded, where somebody asks for that. */
  readonly clock?: Clock;
}

export interface Opened {
  readonly ledger: Ledger;
  /** What it began with; null for the log's own beginning. */
  readonly base: StoredSnapshot | null;
}

/** The log may be cut between two looks at it. */
const tries = 3;

/**
 * A ledger folded up to the log's tail. Rejects with LOG_INCOMPLETE when the beginning is gone, or an event is missing,
 * and no snapshot stands in for it, LOG_RESTORING, LOG_UNKNOWN_EVENT, TIMEOUT or JETSTREAM_ERROR.
 */
export async function openLedger(ports: SnapshotPorts, options: OpenOptions): Promise<Opened> {
  const log = ports.bus.log(ports.subjects.stream);
  for (let attempt = 1; ; attempt++) {
    /** An event is missing behind what was begun with; a newer snapshot may stand in for it. */
    let incomplete: SwainError | undefined;
    const tried = async (open: () => Promise<Opened | null>): Promise<Opened | null> => {
      try {
        return await open();
      } catch (error) {
        const known = asSwainError(error);
        if (known.code !== "LOG_INCOMPLETE") throw error;
        incomplete = known;
        return null;
      }
    };
    const { first } = await log.tail();
    const whole = options.order === "oldest" && first === 1 ? await tried(() => fromBeginning(ports, options)) : null;
    if (whole !== null) return whole;
    for (const stored of await candidates(ports, options.order)) {
      const opened = await tried(() => fromSnapshot(ports, stored, options));
      if (opened !== null) return opened;
    }
    if (incomplete !== undefined) throw incomplete;
    const now = await log.tail();
    if (now.first > 1 && (now.first === first || attempt === tries)) {
      const message = `the log begins at sequence ${now.first}, and there is no good snapshot of what was before`;
      throw new SwainError("LOG_INCOMPLETE", message);
    }
    if (now.first > 1) continue;
    try {
      return await fromBeginning(ports, options);
    } catch (error) {
      if (asSwainError(error).code !== "LOG_UNKNOWN" || attempt === tries) throw error;
    }
  }
}

async function candidates(ports: SnapshotPorts, order: OpenOptions["order"]): Promise<StoredSnapshot[]> {
  const found: StoredSnapshot[] = [];
  for await (const { id, manifest } of storedSnapshots(ports)) {
    if (manifest === null) continue;
    found.push({ id, manifest });
    if (found.length === limits.snapshotsLooked) break;
  }
  return order === "oldest" ? found.reverse() : found;
}

async function fromSnapshot(
  ports: SnapshotPorts,
  stored: StoredSnapshot,
  { onForeign, onProblem, upTo, clock }: OpenOptions,
): Promise<Opened | null> {
  if (upTo !== undefined && stored.manifest.sequence > upTo) return null;
  try {
    const ledger = new Ledger(onForeign, await loadSnapshot(ports, stored), clock);
    await ledger.catchUp(ports.bus.log(ports.subjects.stream), upTo);
    return { ledger, base: stored };
  } catch (error) {
    const { code, message } = asSwainError(error);
    if (code === "SNAPSHOT_BROKEN") onProblem(asSwainError(error), stored.id);
    else if (code === "LOG_UNKNOWN") onProblem(unfit(stored, message), stored.id);
    else throw error;
    return null;
  }
}

/** Of another log, or of a part of this one that it does not have any more. */
export function unfit({ id, manifest }: StoredSnapshot, why: string): SwainError {
  return new SwainError(
    "SNAPSHOT_BROKEN",
    `snapshot ${id} of sequence ${manifest.sequence} is not of this log: ${why}`,
  );
}

async function fromBeginning({ bus, subjects }: SnapshotPorts, options: OpenOptions): Promise<Opened> {
  const ledger = new Ledger(options.onForeign, undefined, options.clock);
  await ledger.catchUp(bus.log(subjects.stream), options.upTo);
  return { ledger, base: null };
}
