// The sim driver: containers that do no work and fail as their manifest asks. It keeps the promises of the driver port
// towards the agent and the conformance suite. Its containers live in a `SimEngine` and end with the process.
import type { Cancel } from "../../../kernel/clock.ts";
import { SwainError } from "../../../kernel/errors.ts";
import type { Prober } from "../../prober.ts";
import type {
  ContainerInfo,
  ContainerSpec,
  ContainerUsage,
  Driver,
  DriverEvents,
  DriverIdentity,
  LogOptions,
} from "../driver.ts";
import type { OnOutput } from "../output.ts";
import { behaviourOf } from "./behaviour.ts";
import type { SimContainer, SimEngine } from "./engine.ts";
import { isOf } from "./engine.ts";

/** Makes a driver for one node. */
export function createSimDriver(engine: SimEngine, identity: () => DriverIdentity | null): Driver {
  return new SimDriver(engine, identity);
}

/**
 * Readiness of simulated containers, which have no sockets: every check answers as `sim` in the manifest says. A ready one
 * stays ready, so it is not looked at again.
 */
export function simProber(engine: SimEngine): Prober {
  return {
    rechecks: false,
    check(container, { what }) {
      const found = engine.find(container.id);
      const ok = found !== undefined && engine.isReady(found);
      return Promise.resolve({ ok, reached: ok, why: ok ? "" : `${what} does not accept connections` });
    },
  };
}

class SimDriver implements Driver {
  readonly runtime = "sim";
  private readonly engine: SimEngine;
  private readonly identity: () => DriverIdentity | null;
  private readonly cancels = new Set<Cancel>();

  constructor(engine: SimEngine, identity: () => DriverIdentity | null) {
    this.engine = engine;
    this.identity = identity;
  }

  async describe(): Promise<string> {
    this.engine.check();
    return "sim";
  }

  async pull(spec: ContainerSpec, onProgress: (text: string) => void, signal: AbortSignal): Promise<void> {
    this.engine.check();
    const { pullMs, failPull } = behaviourOf(spec.container);
    signal.throwIfAborted();
    const half = Math.floor(pullMs / 2);
    await this.engine.delay(half, signal);
    if (half > 0) onProgress(`pulling: ${half} of ${pullMs} ms`);
    await this.engine.delay(pullMs - half, signal);
    if (failPull) throw new SwainError("IMAGE_NOT_FOUND", "the manifest asks for a pull that fails");
  }

  async create(spec: ContainerSpec): Promise<string> {
    this.engine.check();
    const identity = this.identity();
    if (identity === null) throw new SwainError("INTERNAL", "a container was asked for before the cluster was known");
    const name = spec.container.name;
    const present = this.own().find((one) => one.spec.pod === spec.pod && one.spec.container.name === name);
    if (present !== undefined) return present.id;
    if (spec.joinNetworkOf !== undefined && this.mine(spec.joinNetworkOf) === null) {
      throw new SwainError("ENGINE_ERROR", `there is no container ${spec.joinNetworkOf} to share a network with`);
    }
    return this.engine.create(spec, identity).id;
  }

  async start(id: string): Promise<ContainerInfo> {
    const container = this.present(id);
    if (container.state === "running") return infoOf(container);
    const { startMs, failStart } = this.engine.behaviour(container);
    await this.engine.delay(startMs);
    this.present(id);
    if (failStart) throw new SwainError("COMMAND_NOT_FOUND", "the manifest asks for a start that fails");
    this.engine.run(container);
    return infoOf(container);
  }

  async stop(id: string, graceMs: number): Promise<void> {
    this.engine.check();
    const container = this.mine(id);
    if (container === null || container.state !== "running") return;
    if (!this.engine.behaviour(container).ignoreStop) {
      this.engine.ended(container, 143, false);
      return;
    }
    const started = container.startedAt;
    await this.engine.delay(graceMs);
    // It may have ended, been removed, or been started again while the grace period ran.
    if (container.state === "running" && container.startedAt === started && this.engine.find(id) === container) {
      this.engine.ended(container, 137, false);
    }
  }

  async remove(id: string): Promise<void> {
    this.engine.check();
    const container = this.mine(id);
    if (container !== null) this.engine.remove(container);
  }

  async inspect(id: string): Promise<ContainerInfo | null> {
    this.engine.check();
    const container = this.mine(id);
    return container === null ? null : infoOf(container);
  }

  async list(): Promise<ContainerInfo[]> {
    this.engine.check();
    return this.own().map(infoOf);
  }

  watch(events: DriverEvents): Cancel {
    const cancel = this.engine.watch({ identity: this.identity, events });
    this.cancels.add(cancel);
    return () => {
      this.cancels.delete(cancel);
      cancel();
    };
  }

  async usage(ids: readonly string[]): Promise<Map<string, ContainerUsage>> {
    this.engine.check();
    const running = ids.flatMap((id) => this.mine(id) ?? []).filter(({ state }) => state === "running");
    return new Map(running.map((container) => [container.id, this.engine.behaviour(container).usage]));
  }

  async logs(id: string, options: LogOptions, onOutput: OnOutput): Promise<void> {
    this.engine.check();
    const container = this.mine(id);
    if (container === null || options.signal.aborted) return;
    const run = options.previous === true ? container.runs - 1 : null;
    if (run !== null && !container.lines.some((line) => line.run === run)) {
      throw new SwainError("NO_PREVIOUS_RUN", `container ${id} ran only once`);
    }
    // The newest line that is asked for, and from there as far back as the tail reaches.
    const last = container.lines.findLastIndex((line) => run === null || line.run <= run) + 1;
    const begin = options.tail === undefined ? 0 : Math.max(0, last - options.tail);
    let next = container.printed - container.lines.length + begin;
    for (;;) {
      for (; next < container.printed && !options.signal.aborted; next += 1) {
        const line = container.lines[next - (container.printed - container.lines.length)];
        // One that is gone was pushed out while the reader was slow.
        if (line === undefined || line.time < (options.since ?? 0) || (run !== null && line.run !== run)) continue;
        await onOutput("stdout", line.text, [line.time]);
      }
      const over = container.state !== "running" || this.engine.find(id) === undefined;
      if (!options.follow || over || options.signal.aborted) return;
      await nextChange(container, options.signal);
    }
  }

  async exec(): Promise<never> {
    throw new SwainError("EXEC_UNSUPPORTED", "a simulated container has no programs");
  }

  async close(): Promise<void> {
    for (const cancel of this.cancels) cancel();
    this.cancels.clear();
  }

  private own(): SimContainer[] {
    const identity = this.identity();
    return identity === null ? [] : this.engine.all().filter((container) => isOf(container, identity));
  }

  private mine(id: string): SimContainer | null {
    const identity = this.identity();
    const container = this.engine.find(id);
    return identity !== null && container !== undefined && isOf(container, identity) ? container : null;
  }

  private present(id: string): SimContainer {
    this.engine.check();
    const container = this.mine(id);
    if (container === null) throw new SwainError("ENGINE_ERROR", `there is no container ${id} of this node`);
    return container;
  }
}

function infoOf(container: SimContainer): ContainerInfo {
  const templateId = container.spec.templateId;
  return {
    id: container.id,
    pod: container.spec.pod,
    name: container.spec.container.name,
    ...(templateId === undefined ? {} : { templateId }),
    state: container.state,
    ...(container.state === "exited" ? { exitCode: container.exitCode } : {}),
    oomKilled: container.oomKilled,
    ports: container.ports,
    ...(container.state === "running" ? { address: "sim" } : {}),
  };
}

/** Resolves when the container ends, prints or is removed, or when the signal aborts. */
function nextChange(container: SimContainer, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      container.waiters.delete(done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    container.waiters.add(done);
    signal.addEventListener("abort", done, { once: true });
  });
}
