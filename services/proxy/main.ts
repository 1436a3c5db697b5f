// The proxy process: `startProxy` wires the real machine to `proxy.ts`. Called by the CLI's proxy command and by tests.
import { join } from "node:path";
import { ConnectNews } from "../bus/connect-news.ts";
import type { TellBus } from "../bus/connect-news.ts";
import { connectBus } from "../bus/connect.ts";
import { watchLeader } from "../bus/leaderless.ts";
import type { Bus } from "../bus/port.ts";
import { subjectsOf } from "../bus/subjects.ts";
import { jitteredMs } from "../kernel/backoff.ts";
import { sleep } from "../kernel/clock.ts";
import { asSwainError, SwainError } from "../kernel/errors.ts";
import { listenAddress } from "../kernel/listen-address.ts";
import type { Logger } from "../kernel/log.ts";
import { systemClock } from "../kernel/node/clock.ts";
import { removeDrafts, systemDisk } from "../kernel/node/disk.ts";
import { hostFact } from "../kernel/node/host.ts";
import { systemIds, systemRandom } from "../kernel/node/ids.ts";
import { systemSockets } from "../kernel/node/sockets.ts";
import type { Observed } from "../kernel/insight.ts";
import type { Running } from "../kernel/running.ts";
import { proxyFigures, proxyHealth, proxyReady } from "./figures.ts";
import { proxyLimits } from "./limits.ts";
import type { Listening } from "./listeners.ts";
import { Proxy } from "./proxy.ts";
import type { ServedService } from "./proxy.ts";

export interface ProxyOptions {
  /** Addresses of NATS servers, separated by commas. */
  readonly server: string;
  /** Path of the credentials file. */
  readonly creds?: string;
  readonly cluster: string;
  /** The proxy's id: a DNS label. */
  readonly id: string;
  /** Folder for the last known endpoints. */
  readonly data: string;
  /** `name` may choose a port of the service by number or name: `web:http`. `listen` is `host:port` or `port`. */
  readonly services?: readonly { readonly namespace: string; readonly name: string; readonly listen: string }[];
  /** Listens for every service there is, at its own port, on this host (default 127.0.0.1). */
  readonly all?: { readonly host?: string };
  readonly log: Logger;
  /** Told while the first connection cannot be made, and when it is; what is known is served meanwhile. */
  readonly onBus?: TellBus;
}

/** A started proxy. */
export interface RunningProxy extends Running, Observed {
  /** Where it takes clients now. */
  listening(): readonly Listening[];
}

const loopback = "127.0.0.1";
const busRetry = { firstMs: proxyLimits.busFirstMs, maxMs: proxyLimits.busMaxMs, factor: 2 };

/**
 * Starts a proxy. Resolves when it listens for the services named and the first load of endpoints was tried, after 2 s at
 * the latest; the bus may be away all the time. Rejects with INVALID_ARGUMENT, PORT_IN_USE or LISTEN_FAILED.
 */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const { cluster, id, data, all } = options;
  const log = options.log.with({ proxy: id });
  const ports = {
    clock: systemClock,
    ids: systemIds,
    random: systemRandom,
    disk: systemDisk,
    sockets: systemSockets,
    log,
  };
  const proxy = new Proxy(ports, {
    cluster,
    id,
    hostFact: hostFact(),
    path: join(data, `proxy-${id}.json`),
    services: (options.services ?? []).map(servedService),
    allOn: all === undefined ? undefined : (all.host ?? loopback),
  });
  await removeDrafts(data);
  try {
    await proxy.start();
  } catch (error) {
    await proxy.stop();
    throw error;
  }
  const giveUp = new AbortController();
  const bus = untilConnected(options, log, giveUp.signal);
  void bus.then((bus) => {
    if (bus === undefined) return;
    watchLeader(bus, ports, cluster);
    proxy.attach(bus);
  });
  const patience = new AbortController();
  await Promise.race([proxy.loaded, sleep(systemClock, proxyLimits.firstLoadMs, patience.signal).catch(() => {})]);
  patience.abort();

  let stopping: Promise<void> | undefined;
  const { promise: closed, resolve, reject } = withResolvers();
  const stop = async (): Promise<void> => {
    await proxy.stop();
    giveUp.abort();
    await (await bus)?.close();
  };
  return {
    closed,
    listening: () => proxy.listening(),
    insight: {
      health: () => proxyHealth(proxy.view()),
      ready: () => Promise.resolve(proxyReady(proxy.view())),
      figures: () => proxyFigures(proxy.view()),
    },
    stop: () => {
      if (stopping === undefined) {
        stopping = stop();
        stopping.then(resolve, reject);
      }
      return stopping;
    },
  };
}

/** Connects, however long it takes; undefined when given up. Meanwhile the proxy serves what it knows. */
async function untilConnected(options: ProxyOptions, log: Logger, signal: AbortSignal): Promise<Bus | undefined> {
  const { server, creds, cluster, id } = options;
  const news = new ConnectNews(options.onBus ?? (() => {}));
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      const bus = await connectBus({
        servers: server,
        name: `proxy ${id}`,
        cluster,
        inboxPrefix: subjectsOf(cluster).proxy.inbox(id),
        clock: systemClock,
        random: systemRandom,
        log,
        signal,
        onUnreachable: (problem) => news.failed(id, problem),
        ...(creds === undefined ? {} : { creds }),
      });
      news.through(id);
      return bus;
    } catch (thrown) {
      if (signal.aborted) return undefined;
      const error = asSwainError(thrown);
      news.failed(id, error);
      log.error("cannot reach the bus; trying again", { code: error.code, error: error.message });
      await sleep(systemClock, jitteredMs(busRetry, attempt, systemRandom), signal).catch(() => {});
    }
  }
  return undefined;
}

function servedService({
  namespace,
  name,
  listen,
}: {
  namespace: string;
  name: string;
  listen: string;
}): ServedService {
  const [service = "", choice, ...rest] = name.split(":");
  if (service === "" || choice === "" || rest.length > 0) {
    throw new SwainError("INVALID_ARGUMENT", `"${name}" is not a service: write NAME or NAME:PORT`);
  }
  const port = choice !== undefined && /^\d+$/.test(choice) ? Number(choice) : choice;
  return { service: `${namespace}/${service}`, choice: port, ...listenAddress(listen, "--listen") };
}

function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let resolve: () => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Whoever does not ask for `closed` hears of a failure from `stop`.
  promise.catch(() => {});
  return { promise, resolve, reject };
}
