// Every answer of Swain goes through here. A responder that answered to any reply subject could be made to write
// anywhere: the asker names the subject, and the responder's rights would be used to publish there.
import { asSwainError, SwainError } from "../kernel/errors.ts";
import type { Bus, BusMessage } from "./port.ts";

/** Answers refused so far, per connection. */
const refused = new WeakMap<Bus, number>();

/**
 * Answers a request with a value as JSON. Returns false, and sends nothing, when nobody wants an answer or when the reply
 * subject lies outside the prefix the asker is known by; the latter is counted. A value larger than the server takes is
 * answered with PAYLOAD_TOO_LARGE.
 */
export function respond(bus: Bus, message: BusMessage, allowedPrefix: string, value: unknown): boolean {
  return answer(bus, message, allowedPrefix, value, {});
}

/** The same with an error: an ApiError body and the headers of the NATS micro protocol. */
export function respondError(bus: Bus, message: BusMessage, allowedPrefix: string, error: SwainError): boolean {
  const { retryAfterMs, problems } = error.details;
  const body = {
    error: {
      code: error.code,
      message: error.message,
      action: error.action,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...(problems === undefined ? {} : { problems }),
    },
  };
  return answer(bus, message, allowedPrefix, body, {
    "Nats-Service-Error": error.message.replace(/[\r\n]+/g, " "),
    "Nats-Service-Error-Code": error.code,
  });
}

/** How many answers of this connection were refused because of their reply subject. */
export function refusedReplies(bus: Bus): number {
  return refused.get(bus) ?? 0;
}

function answer(
  bus: Bus,
  message: BusMessage,
  allowedPrefix: string,
  value: unknown,
  headers: Readonly<Record<string, string>>,
): boolean {
  const reply = message.reply;
  if (reply === undefined) return false;
  if (!reply.startsWith(allowedPrefix) || reply.length === allowedPrefix.length) {
    refused.set(bus, refusedReplies(bus) + 1);
    return false;
  }
  try {
    bus.publish(reply, value, { headers });
  } catch (error) {
    const known = asSwainError(error);
    // Only once: the error's own body is small, so a second refusal has another cause.
    if (known.code !== "PAYLOAD_TOO_LARGE" || "Nats-Service-Error" in headers) throw known;
    return respondError(bus, message, allowedPrefix, new SwainError(known.code, known.message));
  }
  return true;
}
