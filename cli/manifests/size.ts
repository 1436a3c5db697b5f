// One apply becomes one event of the log, so its size is bounded; this says so before anything is sent, and how to split.
import { limits } from "../../services/bus/limits.ts";
import { withDefaults } from "../../services/core/defaults.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import type { LoadedManifest } from "./read.ts";

/** More documents than this do not fit an event, whatever their size. */
const maxDocuments = 1000;
/** Bytes of what goes into an event for them. */
const maxFilled = limits.eventBytes - limits.eventEnvelopeBytes;

/** Bytes of documents. */
interface Size {
  /** As they are sent. */
  readonly sent: number;
  /** As they are written, with defaults filled in: of small documents that is twice as much. */
  readonly filled: number;
}

const nothing: Size = { sent: 1, filled: 1 };
const sum = (a: Size, b: Size): Size => ({ sent: a.sent + b.sent, filled: a.filled + b.filled });
const fits = ({ sent, filled }: Size): boolean => sent <= limits.applyBytes && filled <= maxFilled;
const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value)) + 1;

function sizeOf({ manifest }: LoadedManifest): Size {
  const { kind, metadata, spec } = withDefaults(manifest);
  // A workload without a count gets the one it has.
  const written = kind === "Workload" ? { replicas: 10_000, ...spec } : spec;
  return {
    sent: bytesOf(manifest),
    filled: bytesOf({ kind, verb: "applied", labels: {}, ...metadata, spec: written }),
  };
}

/** Throws APPLY_TOO_LARGE, with a way to split, when the manifests are too much for one apply. */
export function checkSize(manifests: readonly LoadedManifest[]): void {
  const sizes = manifests.map(sizeOf);
  const total = sizes.reduce(sum, nothing);
  if (fits(total) && manifests.length <= maxDocuments) return;
  const parts = splitPoints(sizes);
  const starts = parts.map((index) => manifests[index]?.place("").replace(/:\d+$/, ""));
  const shown = starts.length > 5 ? `${starts.slice(0, 5).join(", ")}, …` : starts.join(", ");
  const given = manifests.length === 1 ? "1 document" : `${manifests.length} documents together`;
  const filled =
    total.sent <= limits.applyBytes && total.filled > maxFilled ? `, ${kib(total.filled)} with defaults` : "";
  throw new SwainError(
    "APPLY_TOO_LARGE",
    `${given} of ${kib(total.sent)}${filled}; one apply takes ${kib(limits.applyBytes)}, ` +
      `${kib(maxFilled)} with defaults, and ${maxDocuments} documents. ` +
      (starts.length > 0
        ? `Apply them in ${starts.length + 1} parts; a new part begins at ${shown}`
        : "This one document is too large by itself"),
  );
}

const kib = (bytes: number): string => `${Math.ceil(bytes / 1024)} KiB`;

/** Indexes of the documents at which a new part must begin, filling each part as far as it goes. */
function splitPoints(sizes: readonly Size[]): number[] {
  const points: number[] = [];
  let part = nothing;
  let first = 0;
  for (const [index, size] of sizes.entries()) {
    if (index > first && (!fits(sum(part, size)) || index - first >= maxDocuments)) {
      points.push(index);
      part = nothing;
      first = index;
    }
    part = sum(part, size);
  }
  return points;
}
