// What can happen to the links between a machine and the bus, and how it is taken back.
import { usualMs } from "../bus/link.ts";
import type { Machine } from "./machine.ts";

type Undo = () => void;

/** What a lossy link does to messages at full strength. */
export const worst = { lose: 0.5, double: 0.3, delay: 0.3, reorder: 0.3, gap: 0.05, delayMs: 9000 };
/** The same where what a consumer sends is lost before all. */
export const gappy = { ...worst, lose: 0.9, double: 0, delay: 0, reorder: 0, gap: 0.5 };
/** The same where messages come twice, the second time late, after newer ones. */
export const echoing = { ...worst, lose: 0, double: 1, delay: 0, reorder: 0.6, gap: 0, delayMs: 6000 };
const slowMs = [50, 900] as const;
/** Longer than a flush may take, and mostly than a node may be silent. */
export const lagMs = [3000, 8000] as const;

export function slow(machine: Machine, strength: number): Undo {
  const [least, most] = slowMs;
  const latencyMs = [least * strength, least + (most - least) * strength] as const;
  for (const link of machine.links) link.latencyMs = latencyMs;
  return () => {
    // Another fault may have made it slow anew.
    for (const link of machine.links) if (link.latencyMs === latencyMs) link.latencyMs = usualMs;
  };
}

export function cut(machine: Machine, directions: { up: boolean; down: boolean }): Undo {
  machine.pass(directions);
  return () => machine.pass({ up: true, down: true });
}

export function lag(machine: Machine, strength: number): Undo {
  const [least, most] = lagMs;
  for (const link of machine.links) link.lagMs = least + (most - least) * strength;
  return () => {
    for (const link of machine.links) link.lagMs = 0;
  };
}

export function lossy(machine: Machine, most: typeof worst, strength: number): Undo {
  const { lose, double, delay, reorder, gap, delayMs } = most;
  const by = (chance: number): number => chance * strength;
  for (const link of machine.links) {
    link.disturb({ lose: by(lose), double: by(double), delay: by(delay), reorder: by(reorder), gap: by(gap), delayMs });
  }
  return () => {
    for (const link of machine.links) link.disturb({});
  };
}
