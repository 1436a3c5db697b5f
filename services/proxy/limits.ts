// Every bound of the proxy, with its reason. Times in milliseconds.

export const proxyLimits = {
  /** A backend on the same network answers in far less; a little above the first SYN retry of TCP (1 s), so that one lost packet is no failure. */
  connectMs: 1300,
  /** Backends tried for one connection: all of a small service, and no client waits longer than this many connects. */
  tries: 5,
  /** A backend that refused is left out this long, growing while it goes on refusing … */
  asideFirstMs: 500,
  /** … up to this: one connection in 10 s is what finding out costs. */
  asideMaxMs: 10_000,
  /** A connection to a service without endpoints waits this long for the first one. */
  firstEndpointMs: 1000,
  /** Open and waiting connections of one proxy: each takes two file descriptors and up to 64 KiB when both sides stall. */
  connections: 10_000,
  /** Clients of one service, or of one of its ports, that wait for room at its own limits: a short burst fits … */
  waiting: 1000,
  /** … and nobody waits longer than people and programs usually do. */
  waitingMs: 5000,
  /** As long as somebody waits, it is looked so often whether time alone made room. */
  waitingLookMs: 250,
  /** Checks under way at once: more would take descriptors and time from clients. */
  checks: 64,
  /** New backends get their first check within this time, spread so that many proxies do not ask in step. */
  firstCheckMs: 100,
  /** A limit that is reached is said once in this time. */
  repeatLogMs: 10_000,
  /** Heartbeats caused by changes are at least this far apart: a burst of changes is one message, and an ack still comes in well under 100 ms. */
  beatGapMs: 20,
  /** All services are told at least this often: no longer than a new leader is unsure of its proxies anyway. */
  wholeBeatMs: 2900,
  /** Routes and backends told in one message of metrics: 200 to 400 bytes each keep it well below NATS' 1 MiB. */
  metricsEntries: 1000,
  /** Reports of changed listeners and backends are at least this far apart: quick enough for eyes, and a burst is one message. */
  reportGapMs: 500,
  /** Addresses of this machine are read anew at most this often: they seldom change, and reading takes a tenth of a millisecond. */
  localAddressesMs: 1000,
  /** The table is written to disk at most this often. */
  saveMs: 1000,
  /** Between two tries to write what could not be written. */
  saveAgainMs: 2000,
  /** A port that is taken is tried again after this … */
  listenFirstMs: 500,
  /** … growing up to this: a try is one bind, cheap even for a thousand ports, and with 20 % of jitter a freed port serves within 2 s. */
  listenMaxMs: 1500,
  /** The first connection to the bus is tried again after this … */
  busFirstMs: 250,
  /** … growing up to this. */
  busMaxMs: 5000,
  /** After a value of another log was seen, the bucket is read anew after this: its leader needs a moment to write all keys … */
  otherLogFirstMs: 2000,
  /** … and while it goes on, at this pace at the slowest. */
  otherLogMaxMs: 30_000,
  /** A value of before is of the log that is followed: what is used meanwhile never was, so this is the slowest pace for it. */
  behindMaxMs: 4000,
  /** What is missing from a bucket that went back is kept this long: a leader is elected and writes it anew meanwhile. */
  wentBackMs: 6000,
  /** Removed keys remembered between two full loads, against messages that come late. */
  removedKeys: 10_000,
  /** How long start waits for the first load of endpoints. */
  firstLoadMs: 2000,
  /** How long stop lets open connections finish. */
  drainMs: 5000,
  /** How long stop waits for the server to have its goodbye. */
  goodbyeMs: 1000,
} as const;
