// The port for readiness checks: real containers are reached over TCP, simulated ones answer for themselves.
import type { Sockets } from "../kernel/sockets.ts";
import { bounds } from "./bounds.ts";
import type { ContainerInfo, PublishedPort } from "./runtime/driver.ts";

export interface Prober {
  /** How often a ready pod is looked at again, milliseconds; null when the driver tells of every change by itself. */
  readonly recheckMs: number | null;
  /** True when the port accepts connections. `host` is where its published port is bound. Never rejects. */
  reaches(container: ContainerInfo, port: PublishedPort, host: string): Promise<boolean>;
}

/**
 * Connects to the container's own address: the engine's published port accepts connections before the program does.
 * Where the engine gives no such address, the published port has to do.
 */
export function tcpProber(sockets: Sockets): Prober {
  return {
    recheckMs: bounds.recheckMs,
    reaches(_container, port, host) {
      return sockets.probe(port.local ?? host, port.localPort ?? port.hostPort, bounds.probeTimeoutMs);
    },
  };
}
