// Between an agent and its node's engine: calls take time, may hang or come to nothing, and their answers reach only a
// process that lives. The engine itself is the sim driver's.
import type { ContainerInfo, Driver, DriverEvents } from "../../../services/agent/runtime/driver.ts";
import type { Cancel } from "../../../services/kernel/clock.ts";
import { SwainError } from "../../../services/kernel/errors.ts";
import type { Chance } from "../chance.ts";
import type { Run } from "./process.ts";

/** A hanging engine is given up after this, as the shipped driver does with real ones. */
const hungMs = 10_000;

/** What a fault may do to the calls of one engine. */
export class EngineCalls {
  /** Calls get no answer; what they ask for is not done. */
  isHung = false;
  /** Calls may be carried out though their answer is lost, and the other way round. */
  flaky = 0;
  readonly chance: Chance;
  readonly watchers: EngineWatchers;

  constructor(chance: Chance, watchers: EngineWatchers) {
    this.chance = chance;
    this.watchers = watchers;
  }
}

/** Who looks on. */
export interface EngineWatchers {
  /** Told before a running container is stopped or removed at an agent's wish. */
  onEnd(container: ContainerInfo): void;
  /** Told when a container runs that did not before. */
  onStart(container: ContainerInfo): void;
}

/** The driver as one run of an agent has it. */
export function throughCalls(run: Run, calls: EngineCalls, driver: Driver): Driver {
  const { chance } = calls;
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    await run.hop(chance.between(0.5, 3));
    if (calls.isHung) {
      await run.hop(hungMs);
      throw new SwainError("ENGINE_UNREACHABLE", "the simulated engine hangs");
    }
    const isLost = calls.flaky > 0 && chance.hits(calls.flaky);
    if (isLost && chance.hits(0.5)) throw new SwainError("ENGINE_UNREACHABLE", "the call did not arrive");
    try {
      const result = await work();
      if (isLost) throw new SwainError("ENGINE_UNREACHABLE", "the answer was lost");
      return result;
    } finally {
      await run.hop(chance.between(0.5, 3));
    }
  };
  /** Says so when a running container is about to be ended. */
  const ending = async (id: string): Promise<void> => {
    const found = await driver.inspect(id);
    if (found?.state === "running") calls.watchers.onEnd(found);
  };
  const starting = async (id: string): Promise<ContainerInfo> => {
    const before = await driver.inspect(id);
    const after = await driver.start(id);
    if (before?.state !== "running") calls.watchers.onStart(after);
    return after;
  };
  return {
    runtime: driver.runtime,
    describe: () => call(() => driver.describe()),
    pull: (spec, onProgress, signal) => call(() => driver.pull(spec, onProgress, signal)),
    create: (spec) => call(() => driver.create(spec)),
    start: (id) => call(() => starting(id)),
    stop: (id, graceMs) => call(() => ending(id).then(() => driver.stop(id, graceMs))),
    remove: (id) => call(() => ending(id).then(() => driver.remove(id))),
    inspect: (id) => call(() => driver.inspect(id)),
    list: () => call(() => driver.list()),
    watch: (events) => watched(run, driver, events),
    usage: (ids) => call(() => driver.usage(ids)),
    logs: (id, options, onOutput) => call(() => driver.logs(id, options, onOutput)),
    exec: (id, options, onOutput) => call(() => driver.exec(id, options, onOutput)),
    close: () => driver.close(),
  };
}

function watched(run: Run, driver: Driver, events: DriverEvents): Cancel {
  return driver.watch({
    onChange: (id, pod) => void run.clock.after(0.5, () => events.onChange(id, pod)),
    onResync: () => void run.clock.after(0.5, () => events.onResync()),
  });
}
