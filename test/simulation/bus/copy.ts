// Copies of values as JSON would give them, some times faster than through text: a simulated message is rarely read as
// text or bytes, and never seen by another process.

/** A value nobody changes any more. */
export class Copied {
  readonly value: unknown;
  /** No fewer bytes than its JSON takes. */
  readonly most: number;

  constructor(value: unknown, most: number) {
    this.value = value;
    this.most = most;
  }
}

/** Of the copy under way: no fewer bytes than its JSON takes. */
let most = 0;
/** What only the real thing can turn into JSON. */
const foreign = Symbol("foreign");

/** What a reader of the value's JSON would get; undefined for a value that is more than plain data. */
export function copied(value: unknown): Copied | undefined {
  most = 0;
  const found = copy(value);
  return found === foreign || found === undefined ? undefined : new Copied(found, most);
}

/** Once more, for a reader who may change it. */
export function copyAgain({ value }: Copied): unknown {
  return copy(value);
}

/** Undefined where JSON leaves out. */
function copy(value: unknown): unknown {
  switch (typeof value) {
    case "string":
      // An escaped character takes six bytes.
      most += value.length * 6 + 3;
      return value;
    case "number":
      most += 25;
      // JSON knows neither minus zero nor what is no number.
      return Number.isFinite(value) ? value + 0 : null;
    case "boolean":
      most += 6;
      return value;
    case "object":
      if (value === null) {
        most += 5;
        return null;
      }
      return Array.isArray(value) ? copyArray(value as unknown[]) : copyObject(value as Record<string, unknown>);
    case "bigint":
      return foreign;
    case "undefined":
    case "function":
    case "symbol":
      return undefined;
  }
}

function copyArray(values: readonly unknown[]): unknown {
  const made: unknown[] = [];
  most += 2;
  for (let index = 0; index < values.length; index += 1) {
    const one = copy(values[index]);
    if (one === foreign) return foreign;
    if (one === undefined) most += 5;
    made.push(one === undefined ? null : one);
  }
  return made;
}

function copyObject(value: Readonly<Record<string, unknown>>): unknown {
  const kind: unknown = Object.getPrototypeOf(value);
  if ((kind !== Object.prototype && kind !== null) || typeof value["toJSON"] === "function") return foreign;
  const made: Record<string, unknown> = {};
  most += 2;
  for (const key in value) {
    if (key === "__proto__") return foreign;
    const one = copy(value[key]);
    if (one === foreign) return foreign;
    if (one === undefined) continue;
    most += key.length * 6 + 4;
    made[key] = one;
  }
  return made;
}
