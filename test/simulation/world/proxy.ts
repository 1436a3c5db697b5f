// A proxy of the world: the shipped one, for all services. One of them names one of the services, too.
import { watchLeader } from "../../../services/bus/leaderless.ts";
import { subjectsOf } from "../../../services/bus/subjects.ts";
import type { Logger } from "../../../services/kernel/log.ts";
import { Proxy } from "../../../services/proxy/proxy.ts";
import { proxyNames } from "../faults.ts";
import { workloadNames } from "../wishes.ts";
import type { Machine } from "./machine.ts";
import type { Network } from "./network.ts";
import { Process } from "./process.ts";
import type { Run, Surroundings } from "./process.ts";

const named = { service: `default/${workloadNames[0]}`, choice: undefined, host: "0.0.0.0", port: 9000 };

export class ProxyProcess extends Process {
  readonly machine: Machine;
  private readonly network: Network;
  private proxy: Proxy | undefined;

  constructor(surroundings: Surroundings, machine: Machine, network: Network) {
    super(surroundings, machine.name);
    this.machine = machine;
    this.network = network;
  }

  protected async main(run: Run, log: Logger): Promise<void> {
    const { cluster } = this.surroundings;
    const { clock, random, ids } = run;
    const sockets = this.network.sockets(run, this.machine);
    const services = this.name === proxyNames[1] ? [named] : [];
    const proxy = new Proxy(
      { clock, ids, random, disk: this.machine.disk(run), sockets, log },
      { cluster, id: this.name, hostFact: this.name, path: "/data/proxy.json", services, allOn: "0.0.0.0" },
    );
    this.proxy = proxy;
    await proxy.start();
    const bus = await run.connect(
      `proxy ${this.name}`,
      this.machine.link(),
      subjectsOf(cluster).proxy.inbox(this.name),
    );
    if (!run.isAlive) return;
    watchLeader(bus, run, cluster);
    proxy.attach(bus);
    await new Promise<never>(() => {});
  }

  protected async quit(): Promise<void> {
    await this.proxy?.stop();
  }
}
