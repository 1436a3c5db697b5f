// What `doctor` found, and how it is shown.
import { errorKinds } from "../../services/kernel/errors.ts";
import type { Code } from "../../services/kernel/errors.ts";
import { harmless } from "../output/table.ts";

/** `warn`: works, but not as it should for long or under load. `bad`: something does not work. */
type Level = "ok" | "warn" | "bad";

export interface Finding {
  /** What was looked at, in a word or two. */
  readonly check: string;
  readonly level: Level;
  /** Undefined when all is well. */
  readonly code?: Code;
  /** What was found. */
  readonly message: string;
}

export const ok = (check: string, message: string): Finding => ({ check, level: "ok", message });
export const warn = (check: string, code: Code, message: string): Finding => ({ check, level: "warn", code, message });
export const bad = (check: string, code: Code, message: string): Finding => ({ check, level: "bad", code, message });

const colors = { ok: 32, warn: 33, bad: 31 } as const;
const widest = 9;

/** One finding and its cure, as lines. */
export function findingText({ check, level, code, message }: Finding, color: boolean): string {
  const word = color ? `\u001B[${colors[level]}m${level.padEnd(4)}\u001B[39m` : level.padEnd(4);
  const said = code === undefined ? message : `${code}: ${message}`;
  const indent = " ".repeat(4 + 2 + widest + 2);
  const cure = code === undefined ? "" : `${indent}${errorKinds[code].action}\n`;
  return `${word}  ${check.padEnd(widest)}  ${harmless(said)}\n${cure}`;
}

/** The findings as one JSON object. */
export function findingsJson(findings: readonly Finding[]): string {
  const shown = findings.map((finding) =>
    finding.code === undefined ? finding : { ...finding, cure: errorKinds[finding.code].action },
  );
  return `${JSON.stringify({ healthy: findings.every(({ level }) => level !== "bad"), findings: shown }, null, 2)}\n`;
}
