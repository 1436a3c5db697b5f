// What a run of checks makes of a backend. Pure.
import type { CheckRules } from "./traffic.ts";

/** `checking` until the first result, which decides at once; later ones by `rise` and `fall`. */
export interface Health {
  readonly state: "checking" | "up" | "down";
  /** Results in a row that speak against the state. */
  readonly against: number;
}

export const unchecked: Health = { state: "checking", against: 0 };

/** The health after one more result. */
export function afterCheck(health: Health, passed: boolean, { rise, fall }: Pick<CheckRules, "rise" | "fall">): Health {
  if (health.state === "checking") return { state: passed ? "up" : "down", against: 0 };
  if (passed === (health.state === "up")) return health.against === 0 ? health : { ...health, against: 0 };
  const against = health.against + 1;
  if (against < (health.state === "up" ? fall : rise)) return { ...health, against };
  return { state: passed ? "up" : "down", against: 0 };
}
