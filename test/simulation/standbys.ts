// Whether who stands by still follows the log that is there.
import type { ReadState } from "../../services/core/model.ts";
import { parseJson, stringField } from "../../services/controller/record.ts";
import type { LogEntry } from "./observer.ts";
import type { Troubles } from "./troubles.ts";

/** Without a trouble of its own or of the bus a controller finds out within this that the log lost what it has folded. */
const noticedMs = 30_000;

type Folded = Pick<ReadState, "accepted" | "lastEventId">;

/** A controller, and the state that it has folded itself. */
export interface Standing {
  readonly name: string;
  readonly leads: boolean;
  /** It waits for its update, and reads no more. */
  readonly isIdle: boolean;
  readonly state: Folded;
}

/** The log as it is, and the state that it gives. */
export interface Followed {
  readonly archive: readonly LogEntry[];
  readonly state: Folded;
}

export class Standbys {
  private readonly now: () => number;
  private readonly troubles: Troubles;
  private readonly violate: (message: string) => void;
  /** Controller → since when it is seen to hold an event that the log does not, and which. */
  private readonly wrong = new Map<string, { readonly id: string; readonly at: number }>();

  constructor(now: () => number, troubles: Troubles, violate: (message: string) => void) {
    this.now = now;
    this.troubles = troubles;
    this.violate = violate;
  }

  /** To be called from time to time. */
  look(standing: readonly Standing[], log: Followed): void {
    for (const { name, leads, isIdle, state } of standing) {
      const { accepted, lastEventId: id } = state;
      const known = this.wrong.get(name);
      if (leads || isIdle || holds(log, state)) {
        this.wrong.delete(name);
      } else if (known?.id !== id) {
        this.wrong.set(name, { id, at: this.now() });
      } else if (this.now() - known.at > noticedMs && this.isClean(name)) {
        this.violate(`${name} stands by, and holds event ${accepted} for another than the log does`);
        this.wrong.delete(name);
      }
    }
  }

  private isClean(name: string): boolean {
    return [name, "bus"].every((place) => this.troubles.isClean(place, noticedMs));
  }
}

/** Whether the log has that event in its place. */
function holds({ archive, state }: Followed, { accepted, lastEventId }: Folded): boolean {
  if (accepted === 0 || lastEventId === state.lastEventId) return true;
  const record = archive.findLast(({ sequence }) => sequence <= accepted);
  // A log that ends before it is to be told from one that grows again.
  return record?.sequence === accepted && stringField(parseJson(record.data), "id") === lastEventId;
}
