// Every bound of the agent that is not a matter of the bus, with its reason. Times in milliseconds.
import type { Backoff } from "../kernel/backoff.ts";

export const bounds = {
  /** Engines saturate at two to four starts in flight; more only makes each one slower. */
  startsInFlight: 4,
  /** Pulls are bound by the network; a few at once, apart from starts, so that a slow registry holds no start up. */
  pullsInFlight: 3,
  /** A stop mostly waits for the grace period, so many may wait together. */
  stopsInFlight: 64,
  /** Removing is engine work like starting. */
  removesInFlight: 4,
  /** Open probe connections: enough that checks which time out do not hold up those of healthy pods. */
  probesInFlight: 256,
  probeTimeoutMs: 1000,
  /** A ready pod with ports is looked at this often; so many misses in a row make it not ready. */
  recheckMs: 5000,
  recheckMisses: 3,
  /** A pod that does not accept connections this long after its start says so. */
  notReadyAfterMs: 1000,
  /** Running this long gives a pod its restart budget back. */
  stableMs: 60_000,
  /** Containers that nobody told a grace period for. */
  orphanGraceMs: 10_000,
  /** The engine's containers are listed this often even if it told nothing: events can be lost. */
  relistMs: 60_000,
  /** Changes of this long go into one write of the journal: each costs a sync of the disk. */
  journalGatherMs: 20,
  /** Between two tries to write what could not be written. */
  journalRetryMs: 2000,
  /** After a change of leader every pod is reported again some time within this, so that a fleet does not do it at once. */
  repeatSpreadMs: 10_000,
  /** Changes of this long go into one report, so that quick steps make one event. */
  reportGatherMs: 5,
  /** The progress of a pull is told this often: each time costs an event in the log. */
  progressMs: 3000,
  /** An engine that is away, or a journal that cannot be written, for this long is told to the leader: a restart takes less. */
  troubleMs: 5000,
  /** Leases of fenced pods are asked for this often; several requests may be under way, so that a slow answer is still an answer. */
  leaseMs: 1000,
  leaseTimeoutMs: 4000,
  leasesInFlight: 5,
  /** A lease not granted for this long is worth a line, and a look at every fenced pod when there is one again. */
  leaseLapsedMs: 5000,
  /** The two clocks of a machine that is awake differ by less between two looks. */
  sleptMs: 2000,
  /** A stop of a fenced pod that failed is tried again this soon: another copy may be about to start. */
  fenceRetryMs: 1000,
  /** So long the stop of a fenced task waits for the journal: a disk that works syncs in less, and of the time for a kill most is left. */
  stopNoteMs: 500,
  reportPods: 500,
  logSessions: 50,
  logCredit: 64,
  /** Without a sign from the client for this long, its log session ends. */
  logSilentMs: 30_000,
  /** Programs run in pods by people: each has a process, two subscriptions and some buffers. */
  execSessions: 20,
  execCredit: 64,
  /** Without a sign from the client for this long, the program it runs is ended. */
  execSilentMs: 30_000,
  /** Restarts of one sync because the assignment changed between its pages. */
  syncRestarts: 5,
  /** Pages of one sync: at least one pod each, and no node holds more. */
  syncPages: 10_000,
  /** Before the cluster is known, an engine that does not answer is tried again this often. */
  describeMs: 2000,
  /** How long `stop` waits for engine calls that are under way. */
  stopWaitMs: 2000,
  /**
   * How long `stop` waits for pods when it was told to stop them; most have a grace period of 10 s, and removing takes turns.
   * Then it kills them and waits this long. All of it is less than the minute that `swain up` gives an agent.
   */
  stopPodsMs: 45_000,
  killPodsMs: 10_000,
  /** Agents of one process that open their connections at the same time. */
  connectsInFlight: 64,
} as const;

/** After the first restart, which is immediate. */
export const restartBackoff: Backoff = { firstMs: 1000, maxMs: 60_000, factor: 2 };
/** Pulls, creates, starts, stops and removes that failed. */
export const failureBackoff: Backoff = { firstMs: 1000, maxMs: 60_000, factor: 2 };
/** Probes from the start until the first success. */
export const probeBackoff: Backoff = { firstMs: 20, maxMs: 500, factor: 2 };
/** Looking for an engine that does not answer. */
export const engineBackoff: Backoff = { firstMs: 500, maxMs: 10_000, factor: 2 };
/** Reports and syncs nobody answered. */
export const requestBackoff: Backoff = { firstMs: 200, maxMs: 5000, factor: 2 };
/** First connection to the bus. */
export const connectBackoff: Backoff = { firstMs: 250, maxMs: 5000, factor: 2 };
