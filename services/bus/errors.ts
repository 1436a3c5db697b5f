// Errors of the NATS client and of JetStream as codes of the catalogue. Decided by class and code, never by text.
import { errors } from "nats";
import { SwainError } from "../kernel/errors.ts";
import type { Code } from "../kernel/errors.ts";

/** A client error and the errors it was made from, outermost first. */
export function* chain(error: unknown): Generator {
  // Five is deeper than the client ever nests; the bound guards against a cause that points to itself.
  for (let depth = 0, at = error; at !== undefined && depth < 5; depth += 1) {
    yield at;
    at = at instanceof Error ? at.cause : undefined;
  }
}

function codeOf(error: unknown): Code | undefined {
  if (error instanceof errors.NoRespondersError) return "NO_LEADER";
  if (error instanceof errors.TimeoutError) return "TIMEOUT";
  if (error instanceof errors.ClosedConnectionError || error instanceof errors.DrainingConnectionError) {
    return "BUS_CLOSED";
  }
  if (
    error instanceof errors.PermissionViolationError ||
    error instanceof errors.AuthorizationError ||
    error instanceof errors.UserAuthenticationExpiredError
  ) {
    return "NATS_DENIED";
  }
  if (error instanceof errors.ConnectionError) return "NATS_UNREACHABLE";
  if (error instanceof errors.InvalidSubjectError) return "INVALID_ARGUMENT";
  return undefined;
}

/** The code a client error means, or `otherwise` when its class says nothing. */
export function codeOfClientError(error: unknown, otherwise: Code): Code {
  for (const one of chain(error)) {
    const code = codeOf(one);
    if (code !== undefined) return code;
  }
  return otherwise;
}

const sentences: Partial<Record<Code, string>> = {
  NO_LEADER: "nobody listens on",
  TIMEOUT: "no answer in time from",
  BUS_CLOSED: "the connection is closed; not sent:",
  NATS_DENIED: "the server does not allow this user",
  NATS_UNREACHABLE: "no connection to the server for",
};

/** An error of a request as a SwainError; `subject` is named in the message. */
export function requestError(error: unknown, subject: string, closed: boolean): SwainError {
  if (error instanceof SwainError) return error;
  const code = codeOfClientError(error, closed ? "BUS_CLOSED" : "INTERNAL");
  const text = sentences[code];
  const message = text === undefined ? `request ${subject}: ${String(error)}` : `${text} ${subject}`;
  return new SwainError(code, message, { cause: error });
}
