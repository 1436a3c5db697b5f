// All pods of a node: one runner each, fed by the assignment and by what the engine shows. Finds the containers that an
// earlier run of the agent left, waits out an engine that does not answer, and removes what nobody wants.
// It decides nothing about a single pod: that is `pod/step.ts`. Called by `agent.ts`.
import type { AssignedPod, PodReport } from "../../schemas/generated/types.ts";
import type { Key } from "../core/model.ts";
import { mayBeSameTemplate } from "../core/template.ts";
import type { Cancel } from "../kernel/clock.ts";
import { sleep } from "../kernel/clock.ts";
import { jitteredMs } from "../kernel/backoff.ts";
import { asSwainError, SwainError } from "../kernel/errors.ts";
import { bounds, engineBackoff } from "./bounds.ts";
import { Gate } from "./gate.ts";
import type { Lease } from "./pod/fence.ts";
import type { KeptRecord } from "./pod/record.ts";
import { adoptRecord, broughtDown, keptOf } from "./pod/record.ts";
import { restartDelayMs } from "./pod/restart.ts";
import type { RunnerContext } from "./pod/runner.ts";
import { PodRunner } from "./pod/runner.ts";
import { networkOwner } from "./pod/network.ts";
import type { NodeIdentity } from "./pod/spec.ts";
import type { AgentPorts } from "./ports.ts";
import { stopPods, within } from "./stop.ts";
import type { ContainerInfo, Driver } from "./runtime/driver.ts";

export interface PodsHooks {
  onReport(key: Key, report: PodReport): void;
  /** The engine answered, and what it is. */
  onEngine(description: string): void;
  saveSoon(): void;
  save(): Promise<boolean>;
  /** What leaders have granted this node that counts for that pod. */
  lease(key: Key): Lease;
}

export class Pods {
  readonly driver: Driver;
  private readonly ports: AgentPorts;
  private readonly hooks: PodsHooks;
  private readonly context: RunnerContext;
  private readonly runners = new Map<Key, PodRunner>();
  private items: ReadonlyMap<Key, AssignedPod> = new Map();
  /** What the journal knew, for pods that have no runner yet, and what it is to know of those that are stopped with the agent. */
  private readonly kept: Map<Key, KeptRecord>;
  /** Containers of pods nobody told about, as last listed. */
  private strangers = new Map<Key, ContainerInfo[]>();
  /** The engine has been listed once, so an absent container is really absent. */
  private listed = false;
  /** The whole assignment was told in this run, so a pod outside it is not wanted. */
  private synced = false;
  private outageError: SwainError | null = null;
  /** Monotonic time at which the engine went; null while it answers. */
  private outageSince: number | null = null;
  private seeking = false;
  private listing = false;
  private listAgain = false;
  private readonly ending = new AbortController();
  private readonly cancels: Cancel[] = [];
  private onEmpty: (() => void) | null = null;

  constructor(
    ports: AgentPorts,
    driver: Driver,
    identity: NodeIdentity,
    hooks: PodsHooks,
    kept: ReadonlyMap<Key, KeptRecord>,
  ) {
    this.ports = ports;
    this.hooks = hooks;
    this.kept = new Map(kept);
    this.driver = driver;
    this.context = {
      clock: ports.clock,
      log: ports.log,
      prober: ports.prober,
      driver: this.driver,
      identity,
      gates: {
        pull: new Gate(bounds.pullsInFlight),
        start: new Gate(bounds.startsInFlight),
        stop: new Gate(bounds.stopsInFlight),
        remove: new Gate(bounds.removesInFlight),
        probe: new Gate(bounds.probesInFlight),
      },
      lease: (key) => hooks.lease(key),
      networkOf: (namespace, workload) => networkOwner(this.runners.values(), namespace, workload),
      outage: () => this.outageError,
      onOutage: (error) => this.outage(error),
      onReport: (key, report) => hooks.onReport(key, report),
      saveSoon: () => hooks.saveSoon(),
      save: () => hooks.save(),
      onGone: (key) => this.gone(key),
    };
  }

  /** Begins to look after the pods. Returns at once, also when the engine does not answer. */
  start(): void {
    this.cancels.push(
      this.driver.watch({
        onChange: (id, pod) => this.changed(id, pod),
        onResync: () => void this.relist(),
        // An engine that is gone is noticed also when no pod needs it just now.
        onLost: () => void this.relist(),
      }),
      this.ports.clock.every(bounds.relistMs * (0.8 + 0.4 * this.ports.random.next()), () => void this.relist()),
    );
    void this.seek();
  }

  /** Takes over the assignment. `full`: it was told whole in this run of the agent. `anew`: its generations begin anew. */
  take(items: ReadonlyMap<Key, AssignedPod>, full: boolean, anew = false): void {
    this.items = items;
    this.synced ||= full;
    for (const key of this.kept.keys()) if (!items.has(key)) this.kept.delete(key);
    if (!this.listed) {
      this.sayWaiting();
      return;
    }
    for (const [key, runner] of this.runners) if (!items.has(key)) runner.tell(null);
    for (const [key, item] of items) {
      const runner = this.runners.get(key);
      if (runner === undefined) this.open(key, item, this.strangers.get(key) ?? []);
      // It makes way first: `gone` goes on.
      else if (!runner.isOf(item)) runner.tell(null);
      else if (anew || !isTold(runner.view().pod, item)) runner.tell(item);
      // It is stopped and the leader still lists it: it may not have heard.
      else if (full && item.desired === "stop") runner.repeat();
      this.strangers.delete(key);
    }
    this.removeStrangers();
  }

  /** Says the state of every pod again. */
  repeat(): void {
    for (const runner of this.runners.values()) runner.repeat();
  }

  /** Stops fenced pods whose lease is over; `regained`: there is one again, and they go on and say what became of them. */
  heedFences(regained: boolean): void {
    for (const runner of this.runners.values()) runner.heedFence(regained);
  }

  /** What the journal keeps of the pods. */
  records(): Record<Key, KeptRecord> {
    const records: Record<Key, KeptRecord> = {};
    for (const [key, runner] of this.runners)
      if (runner.view().pod !== null) records[key] = { ...keptOf(runner.view().record), ...runner.madeFrom() };
    return { ...records, ...Object.fromEntries(this.kept) };
  }

  /** States of the pods as last reported, and the sum of their restarts. */
  census(): { podStates: string[]; restarts: number } {
    const podStates: string[] = [];
    let restarts = 0;
    for (const runner of this.runners.values()) {
      const { pod, record } = runner.view();
      if (pod === null) continue;
      podStates.push(runner.state);
      restarts += record.restarts;
    }
    return { podStates, restarts };
  }

  /** Containers of a pod, in the manifest's order as far as they exist; undefined when the pod is not here. */
  containersOf(name: string): { pod: AssignedPod; containers: readonly ContainerInfo[] } | undefined {
    for (const runner of this.runners.values()) {
      const { pod, containers } = runner.view();
      if (pod !== null && (pod.name === name || runner.key === name)) return { pod, containers };
    }
    return undefined;
  }

  /** A container that runs now; by default the pod's first. `pod` is `namespace/name`. Throws NOT_FOUND, NOT_RUNNING_NOW. */
  runningContainer(pod: string, wanted: string | undefined): { pod: string; container: ContainerInfo } {
    const found = this.containersOf(pod);
    if (found === undefined) throw new SwainError("NOT_FOUND", `pod ${pod} is not on this node`);
    const names = found.pod.containers.map(({ name }) => name);
    const name = wanted ?? names[0] ?? "";
    if (!names.includes(name)) {
      throw new SwainError("NOT_FOUND", `pod ${pod} has no container ${name}, only ${names.join(", ")}`);
    }
    const container = found.containers.find((one) => one.name === name);
    if (container?.state !== "running") throw new SwainError("NOT_RUNNING_NOW", `container ${name} does not run now`);
    return { pod, container };
  }

  /** Running containers by pod. */
  running(): { pod: AssignedPod; ids: string[] }[] {
    return [...this.runners.values()].flatMap((runner) => {
      const { pod, containers } = runner.view();
      const ids = containers.filter((container) => container.state === "running").map((container) => container.id);
      return pod === null || ids.length === 0 ? [] : [{ pod, ids }];
    });
  }

  /** Why the engine cannot be used now; null when it answers. */
  engineTrouble(): SwainError | null {
    return this.outageError;
  }

  /** The same, once it lasts; until it was reached in this run it has lasted already. */
  lastingTrouble(): SwainError | null {
    if (this.outageSince === null || !this.listed) return this.outageError;
    return this.ports.clock.mono() - this.outageSince >= bounds.troubleMs ? this.outageError : null;
  }

  /**
   * Stops and removes all containers: those that have not ended after a while are killed, whatever is left of their grace
   * period. Rejects with PODS_LEFT when some may run on.
   */
  async stopAll(): Promise<void> {
    if (this.listed ? this.runners.size === 0 : this.items.size === 0) return;
    if (!this.listed || this.outageError !== null) {
      const why = this.outageError?.message ?? "the container engine has not answered yet";
      throw new SwainError("PODS_LEFT", `pods of this node may run on: ${why}`);
    }
    const empty = new Promise<void>((resolve) => {
      this.onEmpty = resolve;
    });
    this.keepAll();
    await within(this.ports.clock, bounds.stopNoteMs, this.hooks.save());
    // Some may have ended meanwhile.
    this.keepAll();
    await stopPods(this.ports, this.runners, empty);
  }

  /**
   * What ran to its end goes with the others, and the next start must not run it again. What runs is stopped, and the next start
   * must not take that for its end, should this one not come to removing it.
   */
  private keepAll(): void {
    for (const [key, runner] of this.runners) {
      const { pod, record, containers } = runner.view();
      if (pod === null) continue;
      this.kept.set(key, { ...keptOf(broughtDown(record, containers)), ...runner.madeFrom() });
    }
  }

  /** Lets go of everything; containers stay as they are. Resolves when no call to the engine is under way, or after a while. */
  async close(): Promise<void> {
    this.ending.abort(new SwainError("STOPPED", "the agent stops"));
    for (const cancel of this.cancels.splice(0)) cancel();
    await within(
      this.ports.clock,
      bounds.stopWaitMs,
      Promise.all([...this.runners.values()].map((runner) => runner.close())),
    );
  }

  private open(key: Key, item: AssignedPod | null, containers: readonly ContainerInfo[]): void {
    // Containers of what had its name before make way first: `gone` goes on.
    const isOther = containers.some(({ templateId }) => !mayBeSameTemplate(templateId, item?.templateId));
    const pod = isOther ? null : item;
    const known = this.kept.get(key) ?? null;
    const kept = pod !== null && mayBeSameTemplate(known?.templateId, pod.templateId) ? known : null;
    this.kept.delete(key);
    const record = adoptRecord(kept, containers, this.ports.clock.mono(), restartDelayMs);
    const runner = new PodRunner(this.context, key, { pod, record, containers, graceMs: bounds.orphanGraceMs });
    this.runners.set(key, runner);
    runner.wake();
  }

  private gone(key: Key): void {
    this.runners.delete(key);
    // What was stopped with the agent, and had not ended, begins anew.
    if (this.kept.get(key)?.finished === null) this.kept.delete(key);
    this.hooks.saveSoon();
    const item = this.items.get(key);
    if (item !== undefined && this.onEmpty === null && !this.ending.signal.aborted) this.open(key, item, []);
    if (this.runners.size === 0) this.onEmpty?.();
  }

  private changed(id: string, pod: Key): void {
    const runner = this.runners.get(pod);
    if (runner !== undefined) runner.hint(id);
    else if (this.listed) void this.meet(id);
  }

  /** A container of a pod that is not known here changed: it may be one that nobody wants. */
  private async meet(id: string): Promise<void> {
    try {
      const info = await this.driver.inspect(id);
      if (this.ending.signal.aborted) return;
      if (info === null) {
        this.forgetStranger(id);
        return;
      }
      const runner = this.runners.get(info.pod);
      if (runner === undefined) this.strangers.set(info.pod, [info]);
      else runner.hint(id);
      this.removeStrangers();
    } catch (error) {
      this.listFailed(error);
    }
  }

  private forgetStranger(id: string): void {
    for (const [key, containers] of this.strangers) {
      const rest = containers.filter((container) => container.id !== id);
      if (rest.length === 0) this.strangers.delete(key);
      else this.strangers.set(key, rest);
    }
  }

  private removeStrangers(): void {
    if (!this.synced) return;
    for (const [key, containers] of this.strangers) {
      this.strangers.delete(key);
      if (this.items.has(key) || this.runners.has(key)) continue;
      this.ports.log.warn("removing containers of a pod that is not assigned to this node", { pod: key });
      this.open(key, null, containers);
    }
  }

  private outage(error: SwainError): void {
    // Its driver breaks off what is under way.
    if (this.ending.signal.aborted) return;
    if (this.outageError === null) {
      this.ports.log.error("the container engine does not answer; nothing is changed until it does", {
        code: error.code,
        message: error.message,
      });
    }
    this.gotLost(error);
    void this.seek();
  }

  private gotLost(error: SwainError): void {
    this.outageError = error;
    this.outageSince ??= this.ports.clock.mono();
  }

  /** Asks the engine until it answers, then compares all it has with what is known. */
  private async seek(): Promise<void> {
    if (this.seeking) return;
    this.seeking = true;
    try {
      for (let attempt = 0; !this.ending.signal.aborted; attempt += 1) {
        // It may have gone again while the pods were woken.
        if ((await this.tryEngine()) && this.outageError === null) break;
        await sleep(this.ports.clock, jitteredMs(engineBackoff, attempt, this.ports.random), this.ending.signal);
      }
    } catch {
      // The agent stops.
    } finally {
      this.seeking = false;
    }
  }

  private async tryEngine(): Promise<boolean> {
    try {
      const description = await this.driver.describe();
      const containers = await this.driver.list();
      if (this.ending.signal.aborted) return true;
      if (this.outageError !== null) this.ports.log.info("the container engine answers", { engine: description });
      this.outageError = null;
      this.outageSince = null;
      this.hooks.onEngine(description);
      this.compare(containers);
      return true;
    } catch (error) {
      if (this.ending.signal.aborted) return false;
      const known = asSwainError(error);
      if (this.outageError === null) {
        this.ports.log.error("the container engine cannot be used", { code: known.code, message: known.message });
      }
      this.gotLost(known);
      if (this.listed) for (const runner of this.runners.values()) runner.wake();
      else this.sayWaiting();
      return false;
    }
  }

  private async relist(): Promise<void> {
    this.listAgain = true;
    if (this.listing || this.outageError !== null || !this.listed) return;
    this.listing = true;
    try {
      while (this.listAgain && !this.ending.signal.aborted) {
        this.listAgain = false;
        this.compare(await this.driver.list());
      }
    } catch (error) {
      this.listFailed(error);
    } finally {
      this.listing = false;
    }
  }

  private listFailed(error: unknown): void {
    const known = asSwainError(error);
    if (known.code === "ENGINE_UNREACHABLE") this.outage(known);
    else this.ports.log.warn("the engine's containers could not be read", { code: known.code, message: known.message });
  }

  private compare(containers: readonly ContainerInfo[]): void {
    if (this.ending.signal.aborted) return;
    const byPod = new Map<Key, ContainerInfo[]>();
    for (const container of containers) {
      const list = byPod.get(container.pod);
      if (list === undefined) byPod.set(container.pod, [container]);
      else list.push(container);
    }
    for (const [key, runner] of this.runners) {
      runner.compare(byPod.get(key) ?? []);
      byPod.delete(key);
    }
    this.strangers = byPod;
    if (this.listed) {
      this.removeStrangers();
    } else {
      this.listed = true;
      this.take(this.items, false);
    }
  }

  /** The engine was never seen in this run: pods that never started here have nothing else to say. */
  private sayWaiting(): void {
    const error = this.outageError;
    if (error === null || this.listed) return;
    for (const [key, item] of this.items) {
      if (item.desired !== "run" || this.kept.has(key)) continue;
      const observed = { reason: error.code, message: error.message, restarts: 0 };
      this.hooks.onReport(key, { namespace: item.namespace, name: item.name, state: "starting", observed });
    }
  }
}

/** The log may give a generation again after it lost its end. */
function isTold(pod: AssignedPod | null, { generation, desired, templateId }: AssignedPod): boolean {
  return pod?.generation === generation && pod.desired === desired && pod.templateId === templateId;
}
