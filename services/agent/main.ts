// The agent process: real clock, disk, sockets, driver and bus under one agent, or under many with simulated containers.
// Called by `swain agent`.
import { readdirSync, statSync } from "node:fs";
import { arch, hostname, release, type } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import type { NodeFacts } from "../../schemas/generated/types.ts";
import { ConnectNews } from "../bus/connect-news.ts";
import type { TellBus } from "../bus/connect-news.ts";
import { connectBus } from "../bus/connect.ts";
import { watchLeader } from "../bus/leaderless.ts";
import type { Bus } from "../bus/port.ts";
import { subjectsOf } from "../bus/subjects.ts";
import { jitteredMs } from "../kernel/backoff.ts";
import { sleep } from "../kernel/clock.ts";
import { asSwainError, SwainError } from "../kernel/errors.ts";
import type { Insight, Observed } from "../kernel/insight.ts";
import { Lifecycle } from "../kernel/lifecycle.ts";
import type { Logger } from "../kernel/log.ts";
import { systemClock } from "../kernel/node/clock.ts";
import { removeDrafts, systemDisk } from "../kernel/node/disk.ts";
import { hostFact } from "../kernel/node/host.ts";
import { systemHttpProbe } from "../kernel/node/http-probe.ts";
import { systemIds, systemRandom } from "../kernel/node/ids.ts";
import { processLogger } from "../kernel/node/log.ts";
import { systemSockets } from "../kernel/node/sockets.ts";
import type { Running } from "../kernel/running.ts";
import { version } from "../kernel/version.ts";
import { createAgent } from "./agent.ts";
import type { Agent } from "./agent.ts";
import { bounds, connectBackoff } from "./bounds.ts";
import { detectAdvertise } from "./facts/advertise.ts";
import { detectCapacity } from "./facts/capacity.ts";
import { agentFigures, agentHealth, agentReady, newMeter } from "./figures.ts";
import type { Meter } from "./figures.ts";
import { machineUsage } from "./facts/usage.ts";
import { Gate } from "./gate.ts";
import type { Driver } from "./runtime/driver.ts";
import { openRuntime } from "./runtime/open.ts";
import { Cgroups, openCgroups } from "./runtime/process/cgroups.ts";

export interface StartAgentOptions {
  /** Addresses of the NATS servers, separated by commas. */
  readonly server: string;
  /** Credentials file of the agent role; a folder is looked into for `agent-<id>.nk`. */
  readonly creds?: string;
  readonly cluster: string;
  /** The node's id; with several nodes their ids are `<id>-1` … `<id>-N`. */
  readonly id: string;
  readonly runtime: Driver["runtime"];
  /** Socket or address of the container engine; without it the agent looks for one, and remembers it in `data`. */
  readonly engine?: string;
  /** Folder of the journal and of the process driver; with several nodes one folder each below it. */
  readonly data: string;
  /** The address other nodes reach; left out, it is detected. */
  readonly advertise?: string;
  /** Agents that share this machine's capacity, this one included. */
  readonly split?: number;
  /** Simulated nodes in this process. */
  readonly nodes?: number;
  /** Stop and remove the pods when the agent is stopped. */
  readonly stopPods?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly log?: Logger;
  /** Told while the first connections cannot be made, and when they are; pods are looked after meanwhile. */
  readonly onBus?: TellBus;
}

/** How long the last words may take to leave. */
const goodbyeMs = 1000;

/**
 * Starts one agent, or as many as `nodes` says. Resolves when the pods are looked after, which needs neither the bus nor
 * the engine. Rejects with INVALID_ARGUMENT or DISK_ERROR.
 */
export async function startAgent(options: StartAgentOptions): Promise<Running & Observed> {
  const count = options.nodes ?? 1;
  if (!Number.isInteger(count) || count < 1 || (count > 1 && options.runtime !== "sim")) {
    throw new SwainError("INVALID_ARGUMENT", "several nodes in one process need the sim runtime and a whole number");
  }
  const split = options.split ?? 1;
  if (!Number.isInteger(split) || split < 1) throw new SwainError("INVALID_ARGUMENT", "split is a whole number from 1");
  const log = options.log ?? processLogger();
  const isProcess = options.runtime === "process";
  const cgroups = isProcess ? await openCgroups(systemClock) : new Cgroups(systemClock, {}, []);
  const facts: Facts = {
    hostname: hostname(),
    host: hostFact(),
    advertise: await advertiseOf(options, log),
    runtime: options.runtime,
    // Simulated nodes share nothing real: each has the room of a whole machine.
    capacity: detectCapacity(options.runtime === "sim" ? 1 : split),
    fencing: true,
    labels: { ...options.labels },
    ...(isProcess ? { processLimits: cgroups.kinds } : {}),
    version,
    arch: arch(),
    os: `${type()} ${release()}`,
  };
  const ids = count === 1 ? [options.id] : Array.from({ length: count }, (_, at) => `${options.id}-${at + 1}`);
  const news = new ConnectNews(options.onBus ?? (() => {}));
  const shared: Shared = { news, gate: new Gate(bounds.connectsInFlight), meter: newMeter(), cgroups };
  const started = await Promise.allSettled(ids.map((id) => startOne(id, count, options, facts, shared, log)));
  const stop = async (): Promise<void> => {
    await Promise.all(started.flatMap((one) => (one.status === "fulfilled" ? [one.value.stop()] : [])));
  };
  for (const one of started) {
    if (one.status === "fulfilled") continue;
    await stop();
    throw one.reason;
  }
  const agents = started.flatMap((one) => (one.status === "fulfilled" ? [one.value.agent] : []));
  return { ...together(stop), insight: insightOf(agents, shared.meter) };
}

/** The address given, or the one detected now. Simulated nodes have no folder of their own to remember it in. */
async function advertiseOf({ advertise, server, runtime, data }: StartAgentOptions, log: Logger): Promise<string> {
  return (
    advertise ??
    detectAdvertise(server, runtime === "sim" ? null : { disk: systemDisk, file: join(data, "advertise"), log })
  );
}

/** Stops once, however often it is asked to. */
function together(stopAll: () => Promise<void>): Running {
  let ended: () => void = () => {};
  const closed = new Promise<void>((resolve) => {
    ended = resolve;
  });
  let stopping: Promise<void> | undefined;
  return {
    closed,
    stop() {
      stopping ??= stopAll().finally(ended);
      return stopping;
    },
  };
}

/** The engine is asked for readiness at most this often, however often somebody asks for that. */
const engineKnownMs = 1000;

function insightOf(agents: readonly Agent[], meter: Meter): Insight {
  const views = (): ReturnType<Agent["view"]>[] => agents.map((agent) => agent.view());
  let known: { readonly at: number; readonly answer: Promise<{ ok: boolean; message: string }> } | undefined;
  // Simulated nodes share their engine, so one speaks for all.
  const ask = async (): Promise<{ ok: boolean; message: string }> => {
    try {
      return { ok: true, message: (await agents[0]?.askEngine()) ?? "" };
    } catch (error) {
      const { code, message } = asSwainError(error);
      return { ok: false, message: `${code}: ${message}` };
    }
  };
  return {
    health: () => agentHealth(views()),
    ready: async () => {
      const now = systemClock.mono();
      if (known === undefined || now - known.at > engineKnownMs) known = { at: now, answer: ask() };
      return agentReady(views(), await known.answer);
    },
    figures: () => agentFigures(meter, views()),
  };
}

/** What the agents of a process have in common. */
interface Shared {
  readonly gate: Gate;
  readonly news: ConnectNews;
  readonly meter: Meter;
  readonly cgroups: Cgroups;
}

type Facts = Omit<NodeFacts, "engine">;

async function startOne(
  id: string,
  count: number,
  options: StartAgentOptions,
  facts: Facts,
  shared: Shared,
  processLog: Logger,
): Promise<{ readonly agent: Agent; stop(): Promise<void> }> {
  const log = processLog.with({ node: id });
  const folder = isAbsolute(options.data) ? options.data : resolve(options.data);
  const data = count === 1 ? folder : join(folder, id);
  const isSim = options.runtime === "sim";
  if (!isSim) await removeDrafts(data);
  const base = { clock: systemClock, ids: systemIds, random: systemRandom, log, meter: shared.meter };
  const runtime = openRuntime(options.runtime, {
    ...base,
    sockets: systemSockets,
    httpProbe: systemHttpProbe,
    data,
    cgroups: shared.cgroups,
    engine: options.engine,
  });
  const agent = createAgent(
    { ...base, ...runtime, disk: systemDisk, machineUsage: isSim ? null : machineUsage(options.split ?? 1) },
    // Simulated containers end with this process, so there is nothing a journal could be compared with.
    { cluster: options.cluster, node: id, data: isSim ? null : data, facts },
  );
  const life = new Lifecycle();
  const ending = new AbortController();
  const connecting = async (): Promise<void> => {
    const open = (name: string): Promise<Bus> => connectForEver(id, name, options, shared.news, log, ending.signal);
    const bus = await shared.gate.run(() => open("agent"));
    life.add(() => bus.close());
    // Simulated pods print next to nothing, and thousands of nodes need no second connection each.
    const bulk = isSim ? bus : await open("agent bulk");
    const watch = watchLeader(bus, base, options.cluster);
    if (bulk !== bus) {
      life.add(() => bulk.close());
      // It carries what people look at, who need no leader: only where another server would do better is it left.
      watchLeader(bulk, base, options.cluster, () => watch.isHeard());
    }
    life.add(() => bus.flush(goodbyeMs).catch(() => {}));
    // There is a way to the server now, which there may not have been when the agent began.
    facts.advertise = await advertiseOf(options, log);
    if (!ending.signal.aborted) agent.attach(bus, bulk);
  };
  await agent.start();
  const connected = connecting().catch((error: unknown) => {
    const { code, message } = asSwainError(error);
    if (!ending.signal.aborted) log.error("the agent works without the bus", { code, message });
  });
  return {
    agent,
    async stop() {
      ending.abort(new SwainError("BUS_CLOSED", "the agent stops"));
      try {
        await agent.stop({ stopPods: options.stopPods ?? false });
      } finally {
        await connected;
        await life.close();
      }
    },
  };
}

/** Connects sooner or later: also a refused user may be added to the server's configuration while pods run here. */
async function connectForEver(
  id: string,
  name: string,
  options: StartAgentOptions,
  news: ConnectNews,
  log: Logger,
  signal: AbortSignal,
): Promise<Bus> {
  const ports = { clock: systemClock, random: systemRandom, log };
  const connection = `${name} ${id}`;
  for (let attempt = 0; ; attempt += 1) {
    try {
      const creds = options.creds === undefined ? {} : { creds: credsOf(options.creds, id) };
      const bus = await connectBus({
        ...ports,
        ...creds,
        servers: options.server,
        name: connection,
        cluster: options.cluster,
        inboxPrefix: subjectsOf(options.cluster).node.inbox(id),
        signal,
        onUnreachable: (problem) => news.failed(connection, problem),
      });
      news.through(connection);
      return bus;
    } catch (error) {
      const problem = asSwainError(error);
      const { code, message } = problem;
      if (signal.aborted) throw error;
      news.failed(connection, problem);
      if (attempt === 0) log.error("the bus cannot be used; pods run on without it", { code, message });
      await sleep(systemClock, jitteredMs(connectBackoff, attempt, systemRandom), signal);
    }
  }
}

/** The node's own file when a folder is given. */
function credsOf(path: string, id: string): string {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return path;
  const name = `agent-${id}.nk`;
  if (!readdirSync(path).includes(name)) throw new SwainError("NATS_DENIED", `${path} has no file ${name}`);
  return join(path, name);
}
