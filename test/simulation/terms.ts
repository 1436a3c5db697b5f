// Whether who leads was elected for the term in which he does.
import type { ReadState } from "../../services/core/model.ts";
import type { Troubles } from "./troubles.ts";

/** Reading of another's election may take so long, while answers get lost. */
const readMs = 20_000;

/** A controller, and the state that it has folded itself. */
export interface Leading {
  readonly name: string;
  readonly leads: boolean;
  readonly state: Pick<ReadState, "epoch" | "leader"> | undefined;
}

export class Terms {
  private readonly now: () => number;
  private readonly troubles: Troubles;
  private readonly violate: (message: string) => void;
  /** Controller → since when it is seen to lead in a term of another, and which. */
  private readonly foreign = new Map<string, { readonly epoch: number; readonly at: number }>();

  constructor(now: () => number, troubles: Troubles, violate: (message: string) => void) {
    this.now = now;
    this.troubles = troubles;
    this.violate = violate;
  }

  /** To be called from time to time. */
  look(controllers: readonly Leading[]): void {
    for (const { name, leads, state } of controllers) {
      const known = this.foreign.get(name);
      if (!leads || state === undefined || state.leader === name) {
        this.foreign.delete(name);
      } else if (known?.epoch !== state.epoch) {
        this.foreign.set(name, { epoch: state.epoch, at: this.now() });
      } else if (this.now() - known.at > readMs && this.troubles.isClean(name, readMs)) {
        this.violate(`${name} leads in the term of ${state.leader}, which began at ${state.epoch}`);
        this.foreign.delete(name);
      }
    }
  }
}
