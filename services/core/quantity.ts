// Amounts as manifests write them, in the units the core computes with. Strict: exactly what schemas/manifest allows,
// nothing more. Called by the fold (requests of a template), by drivers (limits) and by the manifest checks.
import { SwainError } from "../kernel/errors.ts";

const cpuMilli = /^([0-9]{1,7})m$/;
const cpuCores = /^([0-9]{1,5})(?:\.([0-9]{1,3}))?$/;
const memory = /^([0-9]{1,15})(?:\.([0-9]{1,3}))?(Ki|Mi|Gi|Ti|k|M|G|T)?$/;
const duration = /^([0-9]{1,9})(ms|s|m|h)$/;

const memoryUnits: Readonly<Record<string, bigint>> = {
  "": 1n,
  k: 1000n,
  M: 1000n ** 2n,
  G: 1000n ** 3n,
  T: 1000n ** 4n,
  Ki: 1024n,
  Mi: 1024n ** 2n,
  Gi: 1024n ** 3n,
  Ti: 1024n ** 4n,
};

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** The most memory a manifest may name: 1 PiB, as for a plain number in the schema. */
export const maxMemoryBytes = 1024 ** 5;

/** The longest duration a manifest may name: 20 days, so that every timer fits the 32 bits of a timer. */
export const maxDurationMs = 20 * 24 * 3_600_000;

const refuse = (what: string, text: unknown): never => {
  throw new SwainError("INVALID_MANIFEST", `${JSON.stringify(text)} is no ${what}`);
};

/** Thousandths of a core, rounded up: `2` → 2000, `"0.5"` → 500, `"500m"` → 500. Throws INVALID_MANIFEST. */
export function parseCpuMillis(quantity: string | number): number {
  if (typeof quantity === "number") {
    if (!Number.isFinite(quantity) || quantity < 0) return refuse("amount of CPU", quantity);
    // Twelve digits are more than anyone writes and hide the error of binary fractions (0.29 × 1000 > 290).
    return Math.ceil(Number((quantity * 1000).toPrecision(12)));
  }
  const milli = cpuMilli.exec(quantity);
  if (milli) return Number(milli[1]);
  const cores = cpuCores.exec(quantity) ?? refuse("amount of CPU", quantity);
  return Number(cores[1]) * 1000 + Number((cores[2] ?? "").padEnd(3, "0"));
}

/** Bytes, rounded up: `"256Mi"` → 268435456, `"1.5k"` → 1500. Exact up to 2^53. Throws INVALID_MANIFEST. */
export function parseMemoryBytes(quantity: string | number): number {
  if (typeof quantity === "number") {
    return Number.isInteger(quantity) && quantity >= 0 ? quantity : refuse("amount of memory", quantity);
  }
  const parts = memory.exec(quantity) ?? refuse("amount of memory", quantity);
  const thousandths = BigInt(parts[1] ?? "0") * 1000n + BigInt((parts[2] ?? "").padEnd(3, "0"));
  const unit = memoryUnits[parts[3] ?? ""] ?? 1n;
  return Number((thousandths * unit + 999n) / 1000n);
}

/** Milliseconds: `"15s"` → 15000. Throws INVALID_MANIFEST. */
export function parseDurationMs(text: string): number {
  const parts = duration.exec(text) ?? refuse("duration", text);
  return Number(parts[1]) * (durationUnits[parts[2] ?? ""] ?? 1);
}
