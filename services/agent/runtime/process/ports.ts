// Chooses the host ports of a run: a process listens on the node itself, so each gets a port of its own.
import type { Clock } from "../../../kernel/clock.ts";
import { SwainError } from "../../../kernel/errors.ts";
import type { Sockets } from "../../../kernel/sockets.ts";
import type { ContainerSpec, PublishedPort } from "../driver.ts";

/** A program binds its port soon after its start; until then the system would give the same one to the next. */
const heldForMs = 10_000;

/** The system has thousands of free ports; so many held ones in a row mean that something is wrong. */
const tries = 100;

export class PortChooser {
  private readonly clock: Clock;
  private readonly sockets: Sockets;
  /** Port → when it was given out. */
  private readonly given = new Map<number, number>();

  constructor(clock: Clock, sockets: Sockets) {
    this.clock = clock;
    this.sockets = sockets;
  }

  /** Throws PORT_TAKEN for a fixed port that is in use. */
  async choose(spec: ContainerSpec): Promise<PublishedPort[]> {
    const ports: PublishedPort[] = [];
    for (const { name, containerPort, hostPort } of spec.container.ports ?? []) {
      const port = hostPort ?? (await this.free(spec.advertise));
      if (hostPort !== undefined && !(await this.sockets.canBind(spec.advertise, hostPort))) {
        throw new SwainError("PORT_TAKEN", `port ${hostPort} of ${spec.advertise} is in use on this node`);
      }
      // No address of its own: a program that does not listen at the one advertised now is not ready, and is shown so.
      ports.push({ name, ...(containerPort === undefined ? {} : { containerPort }), hostPort: port });
    }
    return ports;
  }

  /** False when the machine does not have (any more) the address at which the ports are to be. */
  async hasAddress({ container, advertise }: ContainerSpec): Promise<boolean> {
    if ((container.ports ?? []).length === 0 || this.sockets.localAddresses().includes(advertise)) return true;
    // It may be a name, or one of many that only a route makes the machine's.
    return this.sockets.canBind(advertise, 0);
  }

  private async free(address: string): Promise<number> {
    const now = this.clock.mono();
    for (const [port, at] of this.given) if (now - at > heldForMs) this.given.delete(port);
    for (let time = 0; time < tries; time += 1) {
      const port = await this.sockets.freePort(address);
      if (this.given.has(port)) continue;
      this.given.set(port, now);
      return port;
    }
    throw new SwainError("PORT_TAKEN", `no free port found at ${address}`);
  }
}
