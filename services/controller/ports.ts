// What the controller reaches the world through. main.ts gives the real ones; a simulation gives its own.
import type { Bus } from "../bus/port.ts";
import type { Subjects } from "../bus/subjects.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Ids, Random } from "../kernel/ids.ts";
import type { Logger } from "../kernel/log.ts";
import type { Packing } from "../kernel/packing.ts";
import type { Counters } from "./counters.ts";
import type { Measures } from "./figures.ts";
import type { SnapshotPolicy } from "./snapshot/policy.ts";
import type { Snapshotter } from "./snapshot/port.ts";

/** The ports, and who this controller is. */
export interface Context {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly random: Random;
  readonly bus: Bus;
  readonly log: Logger;
  readonly cluster: string;
  /** This controller's id, as it appears in `leader.elected`. */
  readonly id: string;
  readonly subjects: Subjects;
  readonly counters: Counters;
  readonly measures: Measures;
  readonly packing: Packing;
  readonly snapshotter: Snapshotter;
  readonly policy: SnapshotPolicy;
}
