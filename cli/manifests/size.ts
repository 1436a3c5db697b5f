// One apply becomes one event of the log, so its size is bounded; this says so before anything is sent, and how to split.
import { limits } from "../../services/bus/limits.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import type { LoadedManifest } from "./read.ts";

/** More documents than this do not fit an event, whatever their size. */
const maxDocuments = 1000;

/** Throws APPLY_TOO_LARGE, with a way to split, when the manifests are too much for one apply. */
export function checkSize(manifests: readonly LoadedManifest[]): void {
  const sizes = manifests.map(({ manifest }) => Buffer.byteLength(JSON.stringify(manifest)) + 1);
  const total = sizes.reduce((sum, size) => sum + size, 1);
  if (total <= limits.applyBytes && manifests.length <= maxDocuments) return;
  const parts = splitPoints(sizes);
  const starts = parts.map((index) => manifests[index]?.place("").replace(/:\d+$/, ""));
  const shown = starts.length > 5 ? `${starts.slice(0, 5).join(", ")}, …` : starts.join(", ");
  const given = manifests.length === 1 ? "1 document" : `${manifests.length} documents together`;
  throw new SwainError(
    "APPLY_TOO_LARGE",
    `${given} of ${kib(total)}; one apply takes ${kib(limits.applyBytes)} and ${maxDocuments} documents. ` +
      (starts.length > 0
        ? `Apply them in ${starts.length + 1} parts; a new part begins at ${shown}`
        : "This one document is too large by itself"),
  );
}

const kib = (bytes: number): string => `${Math.ceil(bytes / 1024)} KiB`;

/** Indexes of the documents at which a new part must begin, filling each part as far as it goes. */
function splitPoints(sizes: readonly number[]): number[] {
  const points: number[] = [];
  let bytes = 1;
  let first = 0;
  for (const [index, size] of sizes.entries()) {
    if (index > first && (bytes + size > limits.applyBytes || index - first >= maxDocuments)) {
      points.push(index);
      bytes = 1;
      first = index;
    }
    bytes += size;
  }
  return points;
}
