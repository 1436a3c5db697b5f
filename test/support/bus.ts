// A server with the streams of a cluster and connections to it, all gone after `close`.
import { connectBus } from "../../services/bus/connect.ts";
import type { ConnectOptions } from "../../services/bus/connect.ts";
import type { Bus } from "../../services/bus/port.ts";
import { ensureStreams } from "../../services/bus/streams.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemRandom } from "../../services/kernel/node/ids.ts";
import { startServer } from "./nats.ts";
import type { ServerBinary, ServerOptions, TestServer } from "./nats.ts";

/** Connects to a server of a test. */
export function connectTo(url: string, options: Partial<ConnectOptions> = {}): Promise<Bus> {
  return connectBus({
    servers: url,
    name: "test",
    cluster: "test",
    connectTimeoutMs: 10_000,
    clock: systemClock,
    random: systemRandom,
    log: silent,
    ...options,
  });
}

export interface RealWorld {
  readonly server: TestServer;
  readonly cluster: string;
  connect(options?: Partial<ConnectOptions>): Promise<Bus>;
  /** Ends the server as a crash would, and keeps what is stored; `start` has it run again. */
  kill(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a server and makes the streams of the cluster `test`. */
export async function openWorld(binary: ServerBinary, options: ServerOptions = {}): Promise<RealWorld> {
  const server = await startServer(binary, options);
  const buses: Bus[] = [];
  const connect = async (more: Partial<ConnectOptions> = {}): Promise<Bus> => {
    const bus = await connectTo(server.url, more);
    buses.push(bus);
    return bus;
  };
  const close = async (): Promise<void> => {
    await Promise.all(buses.map((bus) => bus.close()));
    await server.dispose();
  };
  try {
    await ensureStreams(await connect(), "test", { replicas: 1 });
  } catch (error) {
    await close();
    throw error;
  }
  return { server, cluster: "test", connect, kill: () => server.kill(), start: () => server.start(), close };
}
