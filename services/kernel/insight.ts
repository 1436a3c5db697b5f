// What a process tells about itself to those who operate it. Parts give it; `kernel/node/status-server.ts` serves it.
import type { Figure } from "./figures.ts";

/** One condition of being healthy or ready. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What was found, in words. */
  readonly message: string;
}

/** Port: how a started part is looked at. Looking changes nothing and rejects never. */
export interface Insight {
  /** Conditions without which only a restart helps. */
  health(): readonly Check[];
  /** Conditions of doing its work now. */
  ready(): Promise<readonly Check[]>;
  figures(): readonly Figure[];
}

/** A part that can be looked at. */
export interface Observed {
  readonly insight: Insight;
}
