// An error as people read it: what is wrong in their files, the code, what happened, what to do.
import type { SwainError } from "../../services/kernel/errors.ts";
import { harmless } from "./table.ts";

interface Located {
  readonly place?: string;
  readonly message: string;
}

/** Keeps the lines of a text, which may repeat what stands in a manifest, or what an engine or a program said. */
const harmlessLines = (text: string): string => text.split("\n").map(harmless).join("\n");

/** The text for standard error, with its last line end. */
export function errorText(error: SwainError): string {
  const located = error.details.located as readonly Located[] | undefined;
  const problems = (located ?? []).map(
    ({ place, message }) => `${harmless(place === undefined ? message : `${place}: ${message}`)}\n`,
  );
  const waited = error.details.retryAfterMs;
  const retry = typeof waited === "number" ? ` Try again in ${Math.ceil(waited / 1000)} s.` : "";
  // A defect is reported with the place it happened at.
  const cause = error.cause instanceof Error ? error.cause : error;
  const trace = error.code === "INTERNAL" && cause.stack !== undefined ? `${harmlessLines(cause.stack)}\n` : "";
  return `${problems.join("")}${trace}error: ${error.code}: ${harmlessLines(error.message)}\n  ${error.action}${retry}\n`;
}
