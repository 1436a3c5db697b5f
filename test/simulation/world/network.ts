// TCP between the machines of the world: proxies listen, clients connect to them, and they connect to containers. A
// connection is one request that takes a while; nothing is copied.
import type { SimContainer } from "../../../services/agent/runtime/sim/engine.ts";
import { SwainError } from "../../../services/kernel/errors.ts";
import type { Connection, Listener, PipeResult, Refuse, SocketEnd, Sockets } from "../../../services/kernel/sockets.ts";
import type { Chance } from "../chance.ts";
import type { Timeline } from "../time.ts";
import type { AgentProcess } from "./agent.ts";
import type { Machine } from "./machine.ts";
import type { Run } from "./process.ts";

/** How a client's connection ended. */
export type Outcome = "answered" | "refused" | "broken";

/** What a machine's kernel tells one that connects. */
export interface Attempt {
  readonly from: string;
  readonly node: string;
  readonly port: number;
  /** Of the container that has the port; undefined where none runs. */
  readonly pod: string | undefined;
  readonly taken: boolean;
}

/** A request that a proxy carries at this moment. */
export interface Carried {
  readonly proxy: string;
  /** Virtual milliseconds. */
  readonly since: number;
}

/** What a connection ends at. */
export interface Served {
  readonly pod: string;
  /** True as long as it is the one that was connected to. */
  runsOn(): boolean;
}

const tripMs = 0.2;
/** Requests take this long; some stay open for as long as a drain may take, and longer. */
const shortMs = [1, 40] as const;
const longMs = [500, 15_000] as const;
const longShare = 0.2;

class Client implements Connection {
  carried = 0;
  private readonly network: Network;
  private readonly isLong: boolean | undefined;
  private readonly onEnd: (outcome: Outcome) => void;
  private isOver = false;

  constructor(network: Network, isLong: boolean | undefined, onEnd: (outcome: Outcome) => void) {
    this.network = network;
    this.isLong = isLong;
    this.onEnd = onEnd;
  }

  peer(): SocketEnd {
    return { address: "10.9.9.9", port: 50_000 };
  }

  local(): SocketEnd {
    return { address: "10.9.9.8", port: 80 };
  }

  send(): void {}

  /** The request, from the client to the container and back. */
  async pipe(other: Connection): Promise<PipeResult> {
    const backend = other as Backend;
    const failed = !(await backend.serve(this.network, this.isLong));
    if (!failed) this.carried = 100;
    this.end(failed ? "broken" : "answered");
    return { bytesSent: 100, bytesReceived: failed ? 0 : 100, failed };
  }

  destroy(): void {
    this.end("refused");
  }

  end(outcome: Outcome): void {
    if (this.isOver) return;
    this.isOver = true;
    this.onEnd(outcome);
  }
}

class Backend implements Connection {
  readonly carried = 100;
  private readonly run: Run;
  private readonly proxy: string;
  private readonly served: Served;

  constructor(run: Run, proxy: string, served: Served) {
    this.run = run;
    this.proxy = proxy;
    this.served = served;
  }

  peer(): SocketEnd {
    return { address: "10.9.9.7", port: 80 };
  }

  local(): SocketEnd {
    return { address: "10.9.9.8", port: 50_001 };
  }

  send(): void {}

  pipe(): Promise<PipeResult> {
    return Promise.reject(new SwainError("INTERNAL", "clients are piped to backends, not the other way round"));
  }

  destroy(): void {}

  /** True when what serves ran on to the end of the request. */
  async serve({ chance, timeline, open }: Network, isLong = chance.hits(longShare)): Promise<boolean> {
    const [least, most] = isLong ? longMs : shortMs;
    const carried = { pod: this.served.pod, run: this.run, proxy: this.proxy, since: timeline.now };
    open.add(carried);
    await new Promise<void>((resolve) => {
      timeline.after(chance.between(least, most), resolve);
    });
    open.delete(carried);
    return this.served.runsOn();
  }
}

export class Network {
  readonly timeline: Timeline;
  readonly chance: Chance;
  /** By address. */
  private readonly nodes = new Map<string, AgentProcess>();
  private readonly outside = new Map<string, Served>();
  private readonly listeners = new Map<string, (connection: Connection) => void>();
  /** Requests under way. */
  readonly open = new Set<Carried & { readonly pod: string; readonly run: Run }>();
  /** Told of every connect to a node. */
  onAttempt: (attempt: Attempt) => void = () => {};

  constructor(timeline: Timeline, chance: Chance) {
    this.timeline = timeline;
    this.chance = chance;
  }

  add(agent: AgentProcess): void {
    this.nodes.set(agent.machine.address, agent);
  }

  /** A node's machine has another address from now on. */
  move(agent: AgentProcess, address: string): void {
    this.nodes.delete(agent.machine.address);
    agent.machine.address = address;
    this.add(agent);
  }

  /** A program that no node runs, and that answers at that address. */
  addOutside({ address }: Machine, program: Served): void {
    this.outside.set(address, program);
  }

  /** A client's request to what listens there, as long as chance has it where that is not said; false when nothing does. */
  request(machine: Machine, port: number, onEnd: (outcome: Outcome) => void, isLong?: boolean): boolean {
    const accept = this.listeners.get(`${machine.name}:${port}`);
    accept?.(new Client(this, isLong, onEnd));
    return accept !== undefined;
  }

  /** Requests that proxies which are alive carry to a pod. */
  carriedTo(pod: string): Carried[] {
    return [...this.open].filter((one) => one.pod === pod && one.run.isAlive);
  }

  /** The sockets of one run of a process. */
  sockets(run: Run, machine: Machine): Sockets {
    return {
      connect: (host, port, timeoutMs, refuse) => this.connect(run, machine, host, port, timeoutMs, refuse),
      listen: async (host, port, onConnection) => this.listen(run, machine, host, port, onConnection),
      probe: (host, port, timeoutMs) =>
        this.connect(run, machine, host, port, timeoutMs).then(
          () => true,
          () => false,
        ),
      ask: async (host, port, _request, timeoutMs, refuse) => {
        await this.connect(run, machine, host, port, timeoutMs, refuse);
        return "HTTP/1.1 200 OK";
      },
      localAddresses: () => [machine.address],
      freePort: async () => 10_000,
      canBind: async () => true,
    };
  }

  private async connect(
    run: Run,
    machine: Machine,
    host: string,
    port: number,
    timeoutMs: number,
    refuse?: Refuse,
  ): Promise<Connection> {
    const refusal = refuse?.(host);
    if (refusal !== undefined) throw refusal;
    await run.hop(tripMs);
    const program = this.outside.get(host);
    if (program !== undefined) return new Backend(run, machine.name, program);
    const node = this.nodes.get(host);
    if (node === undefined || !machine.reaches(node.machine)) {
      await run.hop(timeoutMs);
      throw new SwainError("CONNECT_TIMEOUT", `${host}:${port} did not answer`);
    }
    const container = node.engine
      .all()
      .find((one) => one.state === "running" && one.ports.some(({ hostPort }) => hostPort === port));
    const taken = container !== undefined && node.engine.isReady(container);
    this.onAttempt({ from: machine.name, node: node.name, port, pod: container?.spec.pod, taken });
    await run.hop(tripMs);
    if (!taken) throw new SwainError("CONNECT_FAILED", `${host}:${port} refuses`);
    return new Backend(run, machine.name, servedBy(container));
  }

  private listen(
    run: Run,
    machine: Machine,
    host: string,
    port: number,
    onConnection: (connection: Connection) => void,
  ): Listener {
    const place = `${machine.name}:${port}`;
    const accept = (connection: Connection): void => {
      if (run.isAlive) run.clock.after(tripMs, () => onConnection(connection));
      else connection.destroy();
    };
    this.listeners.set(place, accept);
    return {
      address: host,
      port,
      close: async () => {
        if (this.listeners.get(place) === accept) this.listeners.delete(place);
      },
    };
  }
}

function servedBy(container: SimContainer): Served {
  const { startedAt, spec } = container;
  return { pod: spec.pod, runsOn: () => container.state === "running" && container.startedAt === startedAt };
}
