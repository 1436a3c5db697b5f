// Every answer of Swain goes through here. A responder that answered to any reply subject could be made to write
// anywhere: the asker names the subject, and the responder's rights would be used to publish there.
import { asSwainError, SwainError } from "../kernel/errors.ts";
import type { Bus, BusMessage } from "./port.ts";

/** As much of a message is sent when the whole error is larger than the server takes. */
const shortMessage = 500;

/** Answers refused so far, per connection. */
const refused = new WeakMap<Bus, number>();

/**
 * Answers a request with a value as JSON. Returns false, and sends nothing, when nobody wants an answer or when the reply
 * subject lies outside the prefix the asker is known by; the latter is counted. A value that cannot be sent, as one larger
 * than the server takes, is answered with the error. Never throws: an asker must not be able to end who answers.
 */
export function respond(bus: Bus, message: BusMessage, allowedPrefix: string, value: unknown): boolean {
  const reply = replyOf(bus, message, allowedPrefix);
  if (reply === undefined) return false;
  try {
    bus.publish(reply, value);
    return true;
  } catch (error) {
    return sendError(bus, reply, asSwainError(error));
  }
}

/**
 * The same with an error: an ApiError body and the headers of the NATS micro protocol. Of an error that does not fit, the
 * code and the beginning of the message are sent.
 */
export function respondError(bus: Bus, message: BusMessage, allowedPrefix: string, error: SwainError): boolean {
  const reply = replyOf(bus, message, allowedPrefix);
  return reply !== undefined && sendError(bus, reply, error);
}

/** How many answers of this connection were refused because of their reply subject. */
export function refusedReplies(bus: Bus): number {
  return refused.get(bus) ?? 0;
}

/** Where the answer goes; undefined when nowhere. */
function replyOf(bus: Bus, { reply }: BusMessage, allowedPrefix: string): string | undefined {
  if (reply === undefined) return undefined;
  if (reply.startsWith(allowedPrefix) && reply.length > allowedPrefix.length) return reply;
  refused.set(bus, refusedReplies(bus) + 1);
  return undefined;
}

function sendError(bus: Bus, reply: string, error: SwainError): boolean {
  const short = new SwainError(error.code, error.message.slice(0, shortMessage));
  return [error, short].some((sent) => {
    try {
      bus.publish(reply, bodyOf(sent), { headers: headersOf(sent) });
      return true;
    } catch {
      return false;
    }
  });
}

function bodyOf({ code, message, action, details }: SwainError): object {
  const { retryAfterMs, problems } = details;
  const more = {
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(problems === undefined ? {} : { problems }),
  };
  return { error: { code, message, action, ...more } };
}

const headersOf = ({ code, message }: SwainError): Record<string, string> => ({
  "Nats-Service-Error": message.replace(/[\r\n]+/g, " "),
  "Nats-Service-Error-Code": code,
});
