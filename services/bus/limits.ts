// Every bound of what goes over the bus, with its reason. Times in milliseconds, sizes in bytes.

export const limits = {
  /** NATS refuses 1 MiB by default; a quarter leaves room for headers and keeps one append near a millisecond. */
  eventBytes: 256 * 1024,
  eventItems: 1000,
  /** What surrounds the items of an event. */
  eventEnvelopeBytes: 1024,
  /** Canonical JSON of one apply: it becomes one event. */
  applyBytes: 200 * 1024,
  /** A page of a list or of an assignment. */
  pageBytes: 256 * 1024,
  /** Endpoints in one key of the endpoints bucket … */
  shardEndpoints: 250,
  /** … and addresses of each, above which shards have fewer endpoints: with the longest hosts 250 × 2 KB, below the 512 KiB a key takes. */
  endpointAddresses: 4,
  /** External endpoints of one service: three shards of them, and each costs the leader a timer. */
  externalEndpoints: 500,
  /** A renewal may be late by a lost message and a failover and still come in time … */
  endpointTtlLeastMs: 5000,
  /** … and one that is gone must not be tried for longer than a coffee. */
  endpointTtlMostMs: 600_000,
  /** One chunk of log output. */
  logChunkBytes: 32 * 1024,
  /** One piece of a program's input or output: small enough that typing stays ahead of a flood. */
  execChunkBytes: 16 * 1024,
  /** Pieces of input under way: half a MiB at most waits for a program that does not read. */
  execInputWindow: 32,
  heartbeatMs: 1000,
  /** What an agent says of its node: two and a half times the largest labels. */
  heartbeatBytes: 64 * 1024,
  /** Signs of what a node says it suffers from: it stands in each heartbeat, in the log and in a table. */
  troubleText: 500,
  /** Signs of what an agent says of a pod: it stands in the log, in an object and in a table. */
  observedText: 1000,
  /** Agents measure, and autoscalers look, this often. */
  metricsMs: 5000,
  leaderBeatMs: 500,
  /** Without a beat for this long, standbys stand for election. */
  leaderSilentMs: 2500,
  /** Of several servers one by way of which no leader is heard for so long is left: in time for a node not to be given up. */
  leaderlessMs: 10_000,
  /** A node unheard for this long is unknown: four heartbeats missed, and under the 5 s of DESIGN section 5. */
  nodeUnheardMs: 4000,
  /** How often a leader looks whom it has not heard for so long … */
  silenceLookMs: 250,
  /** … and how long the server, and then the node, have to answer before that counts: together it stays under those 5 s. */
  silencePingMs: 600,
  /**
   * A server that leads the log has heard most of those that keep it within this, or another may lead: they answer each second (1.0 s at most was seen
   * of an idle log), and none is elected sooner than 4 s after it heard its leader (nats-server, `minElectionTimeoutDefault`).
   */
  logUnheardMs: 3000,
  /** Default of `lostAfter`. */
  lostAfterMs: 15_000,
  /** An append whose outcome is still unknown after this makes the leader step down. */
  settleMs: 10_000,
  appendTimeoutMs: 2000,
  /**
   * Proxies heard in this time are waited for: of several servers one that loses its power is left after 6 s at most, and a heartbeat
   * may have been due when it did …
   */
  proxyHeardMs: 8000,
  /** … but no longer than this. */
  proxyAckMs: 10_000,
  commandTimeoutMs: 5000,
  /** The agent of a removed node that joined keeps its credentials this long at most, to hear that its pods are over … */
  farewellMs: 8000,
  /** … and is not listed anew before they surely end: the server may take up to 10 s to read that. */
  removedHoldMs: 20_000,
  requestTimeoutMs: 5000,
  /** For what the leader asks a node in its turn: it is waited for longer than it waits itself, or nobody hears that the node is silent. */
  askedNodeTimeoutMs: 7000,
  /** A change is asked again after this, with the same operation: one sent to a leader that just died is answered by nobody. */
  changeTimeoutMs: 2000,
  /** How long a client retries one operation through a failover. */
  clientRetryMs: 15_000,
  /** Agents ask for their whole assignment this often even if nobody told them anything. */
  resyncMs: 30_000,
  /** KV writes in flight, per bucket. */
  projectionInFlight: 128,
  /** Requests waiting at the leader before it answers BUSY. */
  inboxRequests: 10_000,
  /** Templates of a workload that `rollout undo` can bring back: each may be as large as an apply. */
  templates: 10,
  /** Services that left a workload, of which it is remembered when: proxies read such a change within seconds. */
  formerServices: 8,
  /** Logs a restored log names as its parents: an agent may have slept through some restores. */
  parents: 8,
  /** A chunk of a snapshot before it is packed, so that packed it stays below half of what servers take. */
  snapshotChunkBytes: 480 * 1024,
  /** Events between two snapshots: folding twice as many takes about a second, and a start must take less than three. */
  snapshotEvents: 10_000,
  /** Bytes of events between two snapshots; less where the log is small, so that it never fills up between two. */
  snapshotBytes: 64 * 1024 * 1024,
  /** Newest events that are never cut, for people who list them and for standbys that were away for a moment. */
  eventsKept: 1000,
  /** Snapshots looked at in search of a good one: two are kept, and each failure leaves one at most. */
  snapshotsLooked: 8,
  /** Operations whose ids are remembered. */
  operations: 10_000,
} as const;
