// The controller process: real clock, ids and bus under `Controller`. Called by `swain controller`.
import { connectBus } from "../bus/connect.ts";
import { watchLeader } from "../bus/leaderless.ts";
import { ensureStreams } from "../bus/streams.ts";
import { subjectsOf } from "../bus/subjects.ts";
import { jitteredMs } from "../kernel/backoff.ts";
import type { Backoff } from "../kernel/backoff.ts";
import { sleep } from "../kernel/clock.ts";
import { asSwainError } from "../kernel/errors.ts";
import { Lifecycle } from "../kernel/lifecycle.ts";
import type { Logger } from "../kernel/log.ts";
import { systemClock } from "../kernel/node/clock.ts";
import { systemIds, systemRandom } from "../kernel/node/ids.ts";
import { systemPacking } from "../kernel/node/packing.ts";
import { processLogger } from "../kernel/node/log.ts";
import type { Observed } from "../kernel/insight.ts";
import type { Running } from "../kernel/running.ts";
import { Controller } from "./controller.ts";
import { noCounts } from "./counters.ts";
import { noMeasures } from "./figures.ts";
import { snapshotPolicy } from "./snapshot/policy.ts";
import { ThreadSnapshotter } from "./thread/snapshotter.ts";

export interface ControllerOptions {
  /** Addresses of the NATS servers, separated by commas. */
  readonly server: string;
  /** Path of the credentials of the controller role. */
  readonly creds?: string;
  readonly cluster: string;
  /** Names this controller in the log; one subject token. */
  readonly id: string;
  /** Copies of the log and the buckets; more than one needs a production server. */
  readonly replicas?: number;
  readonly log?: Logger;
  /** Gives up starting when it aborts. */
  readonly signal?: AbortSignal;
}

/** How long the last words may take to leave. */
const goodbyeMs = 1000;
/** An election among servers takes up to six seconds. */
const patienceMs = 15_000;
const retry: Backoff = { firstMs: 100, maxMs: 2000, factor: 2 };

/**
 * Starts a controller; resolves when it follows the log or leads. Rejects with NATS_DENIED, BUS_CLOSED, SERVER_TOO_OLD,
 * JETSTREAM_ERROR, TIMEOUT, LOG_INCOMPLETE, LOG_RESTORING or LOG_UNKNOWN_EVENT.
 */
export async function startController(options: ControllerOptions): Promise<Running & Observed> {
  const { cluster, id, creds, signal } = options;
  const log = (options.log ?? processLogger()).with({ controller: id });
  const ports = { clock: systemClock, ids: systemIds, random: systemRandom, log };
  const life = new Lifecycle();
  const bus = await connectBus({
    ...ports,
    servers: options.server,
    name: `controller ${id}`,
    cluster,
    everyServer: (options.replicas ?? 1) > 1,
    ...(creds === undefined ? {} : { creds }),
    ...(signal === undefined ? {} : { signal }),
  });
  watchLeader(bus, ports, cluster);
  life.add(() => bus.close());
  life.add(() => bus.flush(goodbyeMs).catch(() => {}));
  try {
    await withPatience(() => ensureStreams(bus, cluster, { replicas: options.replicas ?? 1 }), log);
    const counted = { counters: noCounts(), measures: noMeasures() };
    const snapshotter = new ThreadSnapshotter({ server: options.server, creds: creds ?? null, cluster, id });
    life.add(() => snapshotter.close());
    const snapshots = { packing: systemPacking, snapshotter, policy: snapshotPolicy };
    const context = { ...ports, ...counted, ...snapshots, bus, cluster, id, subjects: subjectsOf(cluster) };
    const controller = await withPatience(() => Controller.start(context), log);
    life.add(() => controller.stop());
    const closed = closeAfter(controller.closed, life);
    closed.catch(() => {});
    return { closed, stop: () => life.close(), insight: controller.insight };
  } catch (error) {
    await life.close();
    throw error;
  }
}

/** A server that just started, or a cluster between two stream leaders, refuses for a while, or gives no answer. */
async function withPatience<T>(work: () => Promise<T>, log: Logger): Promise<T> {
  const until = systemClock.mono() + patienceMs;
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const { code, message } = asSwainError(error);
      if ((code !== "JETSTREAM_ERROR" && code !== "TIMEOUT") || systemClock.mono() > until) throw error;
      log.debug("the streams cannot be made or read yet", { code, message });
      await sleep(systemClock, jitteredMs(retry, attempt, systemRandom));
    }
  }
}

async function closeAfter(closed: Promise<void>, life: Lifecycle): Promise<void> {
  try {
    await closed;
  } finally {
    await life.close();
  }
}
