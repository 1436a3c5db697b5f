// Opens the real bus: one NATS connection that comes back by itself for ever. Not the simulated bus, and not a server
// (that is `embedded/`). Called by the main.ts of each process, by the CLI and by tests.
import { connect } from "nats";
import type { ConnectionOptions, NatsConnection } from "nats";
import type { Cancel, Clock } from "../kernel/clock.ts";
import { sleep } from "../kernel/clock.ts";
import { jitteredMs } from "../kernel/backoff.ts";
import { SwainError } from "../kernel/errors.ts";
import type { Random } from "../kernel/ids.ts";
import type { Logger } from "../kernel/log.ts";
import { listenOf, ServerChoice } from "./choice.ts";
import { readCredentials } from "./credentials.ts";
import { codeOfClientError } from "./errors.ts";
import { NatsBus } from "./nats-bus.ts";
import { nkeySigner } from "./nkey.ts";
import type { Bus } from "./port.ts";
import { certificateFault, tlsOptions } from "./tls.ts";

export interface ConnectOptions {
  /** One or more addresses, separated by commas. */
  readonly servers: string;
  /** Shown by `nats server report connections`. */
  readonly name: string;
  readonly cluster: string;
  /** Path of a NATS creds file or of a file with a bare nkey seed. */
  readonly creds?: string;
  /** The nkey seed itself, for a user that has no file. */
  readonly seed?: string;
  /** The cluster's authority, PEM; without it `ca.pem` beside `creds`, else what the system trusts. */
  readonly ca?: string;
  /** Prefix of every reply subject, with or without its last dot. */
  readonly inboxPrefix?: string;
  /** How long the first connection is tried; without it for ever. */
  readonly connectTimeoutMs?: number;
  readonly clock: Clock;
  readonly random: Random;
  /** Told that no server answered the first time, while it goes on trying. */
  readonly onUnreachable?: (problem: SwainError) => void;
  readonly log: Logger;
  /**
   * The bus tells what every server of its cluster can do that answers now, and not the connected one alone: any of them may hold
   * a stream.
   */
  readonly everyServer?: boolean;
  /** Gives up connecting when it aborts. It does not close a bus that is open. */
  readonly signal?: AbortSignal;
}

/**
 * Where there is one server, a dead link is noticed when the third ping is due after two that were not answered; patience costs
 * nothing. Where there are others to go to, pings go out more often, and `pulse.ts` judges: the answer to one may wait
 * behind much else on a slow way. Past that the client gives up, as late as with one server.
 */
const pings = { alone: { intervalMs: 15_000, mostOut: 2 }, several: { intervalMs: 2000, mostOut: 20 } };
const dialTimeoutMs = 5000;
/** For a server that is asked for its version alone; one that is not there keeps nobody waiting for long. */
const versionTimeoutMs = 2000;
const firstConnect = { firstMs: 100, maxMs: 2000, factor: 2 };

/**
 * Connects; an address with `tls://` is reached over TLS or not at all. Rejects with NATS_UNREACHABLE after
 * `connectTimeoutMs`, NATS_DENIED when the server refuses the user, SERVER_UNTRUSTED when its certificate is not the
 * cluster's, or BUS_CLOSED when the signal aborts. Once connected, it reconnects for ever, also after a refusal.
 */
export async function connectBus(options: ConnectOptions): Promise<Bus> {
  const { creds, seed, ca } = options;
  const authenticator =
    seed !== undefined ? nkeySigner(seed) : creds === undefined ? undefined : await readCredentials(creds);
  const servers = serverList(options.servers);
  const tls = await tlsOptions(servers, creds, ca);
  const hasOthers = servers.length > 1;
  // One that accepts connections and says nothing, or whose machine is gone, leaves time for the others.
  const dialMs = Math.min(dialTimeoutMs, (options.connectTimeoutMs ?? Infinity) / servers.length);
  const { intervalMs, mostOut } = hasOthers ? pings.several : pings.alone;
  const choice = new ServerChoice(options.clock, options.random, servers.map(listenOf));
  const inboxPrefix = options.inboxPrefix?.replace(/\.$/, "");
  const entry = {
    name: `swain ${options.cluster} ${options.name}`,
    noAsyncTraces: true,
    ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
    ...(authenticator === undefined ? {} : { authenticator }),
    ...(tls === undefined ? {} : { tls }),
  };
  const dial = (): Promise<NatsConnection> =>
    connect({
      ...entry,
      servers,
      timeout: dialMs,
      pingInterval: intervalMs,
      maxPingOut: mostOut,
      maxReconnectAttempts: -1,
      reconnectDelayHandler: () => choice.wait(),
      reconnectToServer: (pool) => choice.next(pool),
      // A user may be added to the server's configuration while we wait.
      ignoreAuthErrorAbort: true,
    });
  const connection = await firstConnection(options, dial);
  remember(connection, servers);
  const others = options.everyServer === true ? await otherVersions(connection, entry) : [];
  const prefix = `${inboxPrefix ?? "_INBOX"}.`;
  return new NatsBus(connection, { ...options, hasOthers, choice, others, inboxPrefix: prefix });
}

/** The versions of the servers beside the connected one, those that servers told of among them. */
async function otherVersions(connection: NatsConnection, entry: ConnectionOptions): Promise<string[]> {
  const others = connection.getServers().filter(({ listen }) => listen !== connection.getServer());
  const found = await Promise.allSettled(
    others.map(async ({ listen }) => {
      const other = await connect({ ...entry, servers: listen, timeout: versionTimeoutMs, reconnect: false });
      const version = other.info?.version;
      await other.close();
      return version;
    }),
  );
  return found.flatMap((one) => (one.status === "fulfilled" && one.value !== undefined ? [one.value] : []));
}

/** The client forgets addresses that did not answer before the first that did. */
function remember(connection: NatsConnection, servers: readonly string[]): void {
  const known = connection.getServers().map(({ listen }) => listen);
  const forgotten = servers.filter((server) => !known.includes(listenOf(server)));
  if (forgotten.length > 0) connection.setServers([...known, ...forgotten]);
}

function serverList(servers: string): string[] {
  return servers
    .split(",")
    .map((server) => server.trim())
    .filter((server) => server !== "");
}

/** The client's own first try cannot be stopped or limited in time, so the tries are made here. */
async function firstConnection(options: ConnectOptions, dial: () => Promise<NatsConnection>): Promise<NatsConnection> {
  const { clock, connectTimeoutMs, signal } = options;
  const until = clock.mono() + (connectTimeoutMs ?? Infinity);
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await limited(dial(), clock, until - clock.mono(), signal);
    } catch (error) {
      if (error instanceof SwainError && error.code === "BUS_CLOSED") throw error;
      if (codeOfClientError(error, "NATS_UNREACHABLE") === "NATS_DENIED") {
        throw new SwainError("NATS_DENIED", `${shown(options.servers)} refused the user`, { cause: error });
      }
      const fault = certificateFault(error);
      if (fault !== undefined) {
        throw new SwainError("SERVER_UNTRUSTED", `${shown(options.servers)}: ${fault}`, { cause: error });
      }
      const wait = jitteredMs(firstConnect, attempt, options.random);
      if (clock.mono() + wait >= until) {
        throw new SwainError("NATS_UNREACHABLE", `no NATS server answers at ${shown(options.servers)}`, {
          cause: error,
        });
      }
      if (attempt === 0) {
        const where = shown(options.servers);
        options.onUnreachable?.(
          new SwainError("NATS_UNREACHABLE", `no NATS server answers at ${where}`, { cause: error }),
        );
      }
      if (attempt === 3) options.log.warn("no NATS server answers yet", { servers: shown(options.servers) });
      await sleep(clock, wait, signal).catch(() => {
        throw aborted();
      });
    }
  }
}

/** The connection, or an error when the time is over or the signal aborts; a connection that comes later is closed. */
function limited(
  dialled: Promise<NatsConnection>,
  clock: Clock,
  ms: number,
  signal: AbortSignal | undefined,
): Promise<NatsConnection> {
  return new Promise((resolve, reject) => {
    let open = true;
    let cancel: Cancel = () => {};
    const end = (act: () => void): void => {
      if (!open) return;
      open = false;
      cancel();
      signal?.removeEventListener("abort", onAbort);
      act();
    };
    const onAbort = (): void => end(() => reject(aborted()));
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener("abort", onAbort, { once: true });
    if (ms !== Infinity) {
      cancel = clock.after(ms, () => end(() => reject(new SwainError("NATS_UNREACHABLE", "no answer in time"))));
    }
    dialled.then(
      (connection) => (open ? end(() => resolve(connection)) : void connection.close()),
      (error: unknown) => end(() => reject(error)),
    );
  });
}

function aborted(): SwainError {
  return new SwainError("BUS_CLOSED", "connecting was given up");
}

/** The addresses without what may be a password. */
function shown(servers: string): string {
  return servers.replace(/\/\/[^@/,]*@/g, "//");
}
