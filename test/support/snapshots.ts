// Who makes snapshots in tests: nobody, or whoever asks, where it is.
import type { Bus } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import type { SnapshotReport, Snapshotter } from "../../services/controller/snapshot/port.ts";
import { checkSnapshots, makeSnapshot } from "../../services/controller/snapshot/work.ts";
import type { WorkPorts } from "../../services/controller/snapshot/work.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemIds } from "../../services/kernel/node/ids.ts";
import { systemPacking } from "../../services/kernel/node/packing.ts";

const nothing: SnapshotReport = { verified: [], problems: [] };

export const noSnapshotter: Snapshotter = {
  check: () => Promise.resolve(nothing),
  make: () => Promise.resolve(nothing),
};

export const workPorts = (bus: Bus, cluster: string): WorkPorts => ({
  bus,
  cluster,
  subjects: subjectsOf(cluster),
  clock: systemClock,
  ids: systemIds,
  packing: systemPacking,
});

/** Does the work where it is asked, on that connection. */
export function inlineSnapshotter(bus: Bus, cluster: string): Snapshotter {
  const ports = workPorts(bus, cluster);
  return { check: () => checkSnapshots(ports), make: (order) => makeSnapshot(ports, order) };
}
