// Bytes of the log and of messages, to values and back.
import type { BusMessage } from "../bus/port.ts";
import type { Event } from "../../schemas/generated/types.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The JSON value of a record, or undefined when it is none. */
export function parseJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(data)) as unknown;
  } catch {
    return undefined;
  }
}

/** The bytes of an event as they go into the log. */
export const encodeEvent = (event: Event): Uint8Array => encoder.encode(JSON.stringify(event));

/** Bytes a value takes as JSON. */
export const jsonBytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

/** A field of a parsed value that is a string, else undefined. */
export function stringField(value: unknown, field: string): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const found = (value as Record<string, unknown>)[field];
  return typeof found === "string" ? found : undefined;
}

/** A field of a parsed value that is a number, else undefined. */
export function numberField(value: unknown, field: string): number | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const found = (value as Record<string, unknown>)[field];
  return typeof found === "number" ? found : undefined;
}

/** The message's JSON body, or undefined; never throws. */
export function bodyOf(message: BusMessage): unknown {
  try {
    return message.json();
  } catch {
    return undefined;
  }
}
