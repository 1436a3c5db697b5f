// What a nats-server can do, by its version. Old servers ignore options they do not know without saying so, so every
// optional feature is looked up here first.
import type { Features } from "./port.ts";

/** More than the port shows: what only the bus itself asks for. */
export interface ServerFeatures extends Features {
  /** True when streams keep `metadata`. */
  readonly metadata: boolean;
  /** True when `max_consumers` of an existing stream can be changed. */
  readonly editMaxConsumers: boolean;
}

type Version = readonly [major: number, minor: number, patch: number];

/** First version of each feature. */
const since = {
  syncAlways: [2, 10, 0],
  metadata: [2, 10, 0],
  editMaxConsumers: [2, 12, 0],
  // 2.9 then stores at the new sequence and goes on counting from the old one, until it is started again. Not tried between.
  emptyCut: [2, 12, 0],
} as const satisfies Record<string, Version>;

/** Lines that carry the security fixes of 2026, each from this patch on; what is newer than the last has them too. */
const productionLines: readonly Version[] = [
  [2, 12, 7],
  [2, 14, 3],
];

/** The features of a server that says it has this version, such as "2.9.10" or "2.15.0-RC.1". */
export function featuresOf(version: string): ServerFeatures {
  const parsed = parse(version);
  return {
    version,
    production: isProduction(parsed),
    syncAlways: atLeast(parsed, since.syncAlways),
    metadata: atLeast(parsed, since.metadata),
    editMaxConsumers: atLeast(parsed, since.editMaxConsumers),
    emptyCut: atLeast(parsed, since.emptyCut),
  };
}

/** The features of the one of these servers that can least: what a stream can that any of them may hold. */
export function leastFeatures(versions: readonly [string, ...string[]]): ServerFeatures {
  const [first, ...others] = versions;
  const count = (features: ServerFeatures): number => Object.values(features).filter((can) => can === true).length;
  return others.map(featuresOf).reduce((least, one) => (count(one) < count(least) ? one : least), featuresOf(first));
}

/** The oldest versions good for production, for messages. */
export const productionFloor = productionLines.map((line) => line.join(".")).join(" or ");

/** A version that cannot be read counts as the oldest, so that nothing is expected of it. */
function parse(version: string): Version {
  const found = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version);
  return [Number(found?.[1] ?? 0), Number(found?.[2] ?? 0), Number(found?.[3] ?? 0)];
}

function atLeast(version: Version, floor: Version): boolean {
  for (const [index, part] of floor.entries()) {
    const own = version[index] ?? 0;
    if (own !== part) return own > part;
  }
  return true;
}

function isProduction(version: Version): boolean {
  const line = productionLines.find(([major, minor]) => version[0] === major && version[1] === minor);
  const newest = productionLines.at(-1);
  return atLeast(version, line ?? newest ?? [Infinity, 0, 0]);
}
