// A controller of the world: the shipped one, over a simulated connection.
import type { Bus } from "../../../services/bus/port.ts";
import { watchLeader } from "../../../services/bus/leaderless.ts";
import { ensureStreams } from "../../../services/bus/streams.ts";
import { subjectsOf } from "../../../services/bus/subjects.ts";
import { Controller } from "../../../services/controller/controller.ts";
import { noCounts } from "../../../services/controller/counters.ts";
import type { Counters } from "../../../services/controller/counters.ts";
import type { ControllerView } from "../../../services/controller/figures.ts";
import { noMeasures } from "../../../services/controller/figures.ts";
import { snapshotPolicy } from "../../../services/controller/snapshot/policy.ts";
import type { SnapshotPolicy } from "../../../services/controller/snapshot/policy.ts";
import { checkSnapshots, makeSnapshot } from "../../../services/controller/snapshot/work.ts";
import { systemPacking } from "../../../services/kernel/node/packing.ts";
import { asSwainError } from "../../../services/kernel/errors.ts";
import type { Logger } from "../../../services/kernel/log.ts";
import type { Machine } from "./machine.ts";
import { Process } from "./process.ts";
import type { Run, Surroundings } from "./process.ts";

/** Snapshots so often, and so little of the log kept, that an hour sees many of both … */
const seldom: SnapshotPolicy = { ...snapshotPolicy, events: 1500, kept: 200, retryMs: 5000, checkMs: 240_000 };
/** … and in every other world, minutes. */
const often: SnapshotPolicy = { ...seldom, events: 300, kept: 100 };
/** Between two tries to make the streams. */
const retryMs = 1000;
/** How long the last words may take to leave. */
const goodbyeMs = 1000;

export class ControllerProcess extends Process {
  readonly machine: Machine;
  /** Of all its runs. */
  readonly counters: Counters = noCounts();
  private controller: Controller | undefined;
  private bus: Bus | undefined;

  constructor(surroundings: Surroundings, machine: Machine) {
    super(surroundings, machine.name);
    this.machine = machine;
  }

  get leads(): boolean {
    return this.exists && this.controller?.leads === true;
  }

  /** Its own folded state, and what waits while it leads; undefined while it has none. Nothing else looks into a part. */
  get view(): ControllerView | undefined {
    if (!this.exists) return undefined;
    return (this.controller as unknown as { look(): ControllerView } | undefined)?.look();
  }

  /** Ends it as an operator does; it is started again at once. */
  resign(): void {
    void this.controller?.stop();
  }

  protected async quit(): Promise<void> {
    const { controller, bus } = this;
    await controller?.stop();
    await bus?.flush(goodbyeMs).catch(() => {});
  }

  protected async main(run: Run, log: Logger): Promise<void> {
    this.controller = undefined;
    this.bus = undefined;
    const { cluster, chance, servers } = this.surroundings;
    const policy = chance.stream("snapshots").hits(0.5) ? often : seldom;
    const bus = await run.connect(`controller ${this.name}`, this.machine.link());
    watchLeader(bus, run, cluster);
    for (;;) {
      try {
        await ensureStreams(bus, cluster, { replicas: servers });
        break;
      } catch (error) {
        const { code } = asSwainError(error);
        if (code !== "JETSTREAM_ERROR" && code !== "TIMEOUT") throw error;
        await run.hop(retryMs);
      }
    }
    const { clock, random, ids } = run;
    const subjects = subjectsOf(cluster);
    const work = { bus, cluster, subjects, clock, ids, packing: systemPacking };
    const controller = await Controller.start({
      clock,
      random,
      ids,
      bus,
      log,
      cluster,
      id: this.name,
      subjects,
      counters: this.counters,
      measures: noMeasures(),
      packing: systemPacking,
      snapshotter: { check: () => checkSnapshots(work), make: (order) => makeSnapshot(work, order) },
      policy,
    });
    if (!run.isAlive) return;
    this.controller = controller;
    this.bus = bus;
    await controller.closed;
  }
}
