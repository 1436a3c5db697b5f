// An error as people read it: what is wrong in their files, the code, what happened, what to do.
import type { SwainError } from "../../services/kernel/errors.ts";

interface Located {
  readonly place?: string;
  readonly message: string;
}

/** The text for standard error, with its last line end. */
export function errorText(error: SwainError): string {
  const located = error.details.located as readonly Located[] | undefined;
  const problems = (located ?? []).map(
    ({ place, message }) => `${place === undefined ? "" : `${place}: `}${message}\n`,
  );
  const waited = error.details.retryAfterMs;
  const retry = typeof waited === "number" ? ` Try again in ${Math.ceil(waited / 1000)} s.` : "";
  // A defect is reported with the place it happened at.
  const cause = error.cause instanceof Error ? error.cause : error;
  const trace = error.code === "INTERNAL" && cause.stack !== undefined ? `${cause.stack}\n` : "";
  return `${problems.join("")}${trace}error: ${error.code}: ${error.message}\n  ${error.action}${retry}\n`;
}
