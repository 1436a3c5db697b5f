// How long each engine call may take, in milliseconds. An engine that needs longer counts as unreachable; the agent
// comes back later, and what was done meanwhile shows in the next list.

export const timeouts = {
  /** Looking for an engine: a user waits for the answer of `--runtime auto`. */
  probe: 2000,
  /** Proves that an engine lives while its event stream is silent. */
  ping: 5000,
  /** Lists and lookups answer in milliseconds, but wait for a container's lock while that container starts. */
  read: 30_000,
  /** One-shot statistics read a few kernel files; a missing sample is cheaper than a late one. */
  stats: 5000,
  /** Creating unpacks nothing but may make volumes. */
  create: 30_000,
  /** 0.25 s alone, some seconds when many start at once, more with a slow volume plugin. */
  start: 60_000,
  /** On top of the grace period: the kill and the release of network and mounts. */
  stopMargin: 30_000,
  /** Kill, unmount, delete the writable layer, which may hold gigabytes. */
  remove: 60_000,
  /** Until the first byte of a stream (events, logs). */
  streamOpens: 10_000,
  /** Asking a registry why it refused; without an answer the engine's own code counts. */
  registry: 10_000,
  /** A pull may last hours, but not be silent for so long. */
  pullSilence: 120_000,
} as const;

/** As the driver closes, programs that people run are ended first; an engine that hangs does not hold the agent up for longer. */
export const programEndings = 2000;

/** While the event stream is open the engine is pinged this often: a dead peer closes no connection. */
export const pingEvery = 15_000;

/** A name or removal that the engine is just working on is asked for again this often, so many times. */
export const conflictRetry = { everyMs: 100, times: 20 } as const;

/** A killed container is looked at this often, so many times: its last memory is given back within seconds. */
export const killWait = { everyMs: 50, times: 200 } as const;

/** The oom event may come after the die event of the same container; an exit 137 so fresh is looked at again. */
export const oomRace = { freshMs: 1000, everyMs: 50, times: 10 } as const;

/** Inspects in flight during a list: enough to hide latency, few enough to leave the engine room. */
export const readsInFlight = 8;

/** Statistics in flight. */
export const statsInFlight = 4;
