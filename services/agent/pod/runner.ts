// Brings one pod to what its node was told: looks, asks `nextStep`, does that one step, and looks again. One worker per
// pod, so that no two steps of a pod ever run at once. It decides nothing itself. Called by `pods.ts`.
import type { AssignedPod, Container, PodReport } from "../../../schemas/generated/types.ts";
import type { Key } from "../../core/model.ts";
import { mayBeSameTemplate } from "../../core/template.ts";
import type { Cancel, Clock } from "../../kernel/clock.ts";
import { asSwainError, SwainError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import { bounds } from "../bounds.ts";
import type { Gate } from "../gate.ts";
import type { Outcome, Prober } from "../prober.ts";
import type { ContainerInfo, Driver } from "../runtime/driver.ts";
import { fenceOf, graceLeft, noted } from "./fence.ts";
import type { Fence, Lease } from "./fence.ts";
import { perform } from "./perform.ts";
import type { Action, StepTarget } from "./perform.ts";
import { foldProbe, targetsOf } from "./readiness.ts";
import type { PodRecord } from "./record.ts";
import { sameKept } from "./record.ts";
import { podReport } from "./report.ts";
import { foldFailure } from "./restart.ts";
import type { NodeIdentity } from "./spec.ts";
import type { Step } from "./step.ts";
import { nextStep } from "./step.ts";

/** What all runners of an agent share. */
export interface RunnerContext {
  readonly clock: Clock;
  readonly log: Logger;
  readonly prober: Prober;
  readonly driver: Driver;
  readonly identity: NodeIdentity;
  readonly gates: {
    readonly pull: Gate;
    readonly start: Gate;
    readonly stop: Gate;
    readonly remove: Gate;
    readonly probe: Gate;
  };
  /** What leaders have granted this node that counts for that pod. */
  lease(key: Key): Lease;
  /** Id of the running container that owns the network of a pod of that workload on this node, or null. */
  networkOf(namespace: string, workload: string): string | null;
  /** Set while the engine does not answer. */
  outage(): SwainError | null;
  /** The engine did not answer: nobody calls it until it does again. */
  onOutage(error: SwainError): void;
  onReport(key: Key, report: PodReport): void;
  /** The pod's part of the journal changed: it is written in a moment. */
  saveSoon(): void;
  /** Resolves when the journal is written, or with false when it could not be. */
  save(): Promise<boolean>;
  /** Nothing is wanted of the pod and nothing is left of it. */
  onGone(key: Key): void;
}

export class PodRunner {
  readonly key: Key;
  private readonly context: RunnerContext;
  private pod: AssignedPod | null;
  private graceMs: number;
  private policy: AssignedPod["restartPolicy"];
  private record: PodRecord;
  private containers: ContainerInfo[];
  /** Of the pod told last, or found. */
  private templateId: string | undefined;
  /** Containers to be looked at before the next step. */
  private readonly changed = new Set<string>();
  private last: PodReport | null = null;
  private lastText = "";
  private timer: Cancel | null = null;
  private busy = false;
  /** The container that was told to start last, until it is looked at. */
  private starting: string | null = null;
  private again = false;
  /** Containers whose check is under way. */
  private readonly probing = new Set<string>();
  private closed = false;
  /** Breaks off the step under way; made only for a step that can take long. */
  private abort: AbortController | null = null;
  /** The stop under way: the worker's, or one beside its step. */
  private stopping: Promise<void> | null = null;
  private waiters: (() => void)[] = [];
  private readonly target: StepTarget;

  constructor(
    context: RunnerContext,
    key: Key,
    start: { pod: AssignedPod | null; record: PodRecord; containers: readonly ContainerInfo[]; graceMs: number },
  ) {
    this.context = context;
    this.key = key;
    this.pod = start.pod;
    this.record = start.record;
    this.containers = [...start.containers];
    this.templateId = templateOf(start.pod, start.containers);
    this.graceMs = start.pod?.stopGraceMs ?? start.graceMs;
    this.policy = start.pod?.restartPolicy ?? "Always";
    this.target = {
      key,
      pod: () => this.pod,
      policy: () => this.policy,
      graceMs: () => {
        const fence = this.fence();
        return fence === null ? this.graceMs : graceLeft(fence, this.graceMs, context.clock.mono());
      },
      isUrgent: () => this.fence() !== null,
      wanted: () => !this.closed && this.pod?.desired === "run",
      mayStart: () => {
        const fence = this.fence();
        return fence === null || (!this.record.fenced && context.clock.mono() < fence.startUntil);
      },
      abortable: (work) => this.abortable(work),
      record: () => this.record,
      containers: () => this.containers,
      keep: (record) => this.keep(record),
      report: () => this.report(),
      see: (id, info) => this.see(id, info),
    };
  }

  /** The part of the record that the journal keeps, and what the engine showed last. */
  view(): { record: PodRecord; containers: readonly ContainerInfo[]; pod: AssignedPod | null } {
    return { record: this.record, containers: this.containers, pod: this.pod };
  }

  /** Whether that is the same pod, not one of another template: the log lost what had this name before. */
  isOf({ templateId }: AssignedPod): boolean {
    return mayBeSameTemplate(this.templateId, templateId);
  }

  /** What the journal keeps beside the record: which pod it is about. */
  madeFrom(): { templateId?: string } {
    return this.templateId === undefined ? {} : { templateId: this.templateId };
  }

  /** Takes over what the node is told; null = not wanted here any more. */
  tell(pod: AssignedPod | null): void {
    const leaves = this.pod?.desired === "run" && pod?.desired !== "run";
    this.pod = pod;
    if (pod !== null) {
      this.graceMs = pod.stopGraceMs;
      this.policy = pod.restartPolicy;
      this.templateId = templateOf(pod, this.containers);
    }
    if (leaves) this.abort?.abort(new SwainError("STOPPED", "the pod is not wanted any more"));
    this.wake();
  }

  /** Some container of it runs, or may do so yet: what came of its start is not known. */
  get mayRun(): boolean {
    return this.containers.some(({ id, state }) => state === "running" || id === this.starting);
  }

  /** Ends what runs at once, also in the middle of a grace period; from now on there is none. Rejects with what the driver says. */
  async kill(): Promise<void> {
    this.graceMs = 0;
    const running = this.containers.filter(({ state }) => state === "running");
    await Promise.all(running.map(({ id }) => this.context.driver.stop(id, 0)));
    for (const { id } of running) this.see(id, await this.context.driver.inspect(id));
  }

  private fence(): Fence | null {
    return fenceOf(this.pod, this.record, this.context.lease(this.key));
  }

  /** What runs of it ought to have ended: it was fenced, or is to stop anyhow and has no lease any more. */
  private isOverdue(): boolean {
    const fence = this.fence();
    return this.record.fenced || (fence !== null && this.context.clock.mono() >= fence.runUntil);
  }

  /**
   * Looks whether the lease of a fenced pod is over: a step under way, which may be long in line or in the engine, must not
   * hold up its stop. `regained`: there is one again after a time without, so the pod may go on, and its state is said anew.
   */
  heedFence(regained: boolean): void {
    const fence = this.fence();
    if (fence === null) return;
    if (regained) {
      this.wake();
      this.repeat();
    }
    const now = this.context.clock.mono();
    const isOver = now >= fence.runUntil;
    if (isOver && this.busy) this.stopBeside();
    // It was to stop for a while, so that leases of that time were not for it.
    const waits = this.record.fenced || this.record.unleasedSince !== null;
    if (isOver || (waits && now < fence.startUntil)) this.wake();
  }

  /** Stops what runs beside the step under way, if that is what comes next. */
  private stopBeside(): void {
    if (this.stopping !== null) return;
    const { record, step } = this.next();
    if (step.do !== "stop") return;
    this.keep(record);
    this.report();
    void this.stop(step);
  }

  /** A hint that this container may have changed. */
  hint(id: string): void {
    this.changed.add(id);
    this.wake();
  }

  /** Says its state again, whether or not it changed. */
  repeat(): void {
    if (this.last !== null) this.context.onReport(this.key, this.last);
  }

  /** Compares with a listing of the engine; what differs is looked at anew, in turn with the steps. */
  compare(listed: readonly ContainerInfo[]): void {
    // The whole of it: a list may know less of a container than there is, as of its ports.
    const known = new Map(this.containers.map((container) => [container.id, JSON.stringify(container)]));
    for (const container of listed) {
      if (known.get(container.id) !== JSON.stringify(container)) this.changed.add(container.id);
      known.delete(container.id);
    }
    for (const id of known.keys()) this.changed.add(id);
    this.wake();
  }

  wake(): void {
    this.again = true;
    if (this.busy || this.closed) return;
    this.busy = true;
    void this.work();
  }

  /** Takes no further step. Resolves when the one under way has ended; pulls and waits are broken off. */
  async close(): Promise<void> {
    this.closed = true;
    this.timer?.();
    this.timer = null;
    this.abort?.abort(new SwainError("STOPPED", "the agent stops"));
    if (this.busy) await new Promise<void>((resolve) => this.waiters.push(resolve));
    await this.stopping;
  }

  private async work(): Promise<void> {
    while (this.again && !this.closed) {
      this.again = false;
      try {
        await this.pass();
      } catch (error) {
        const { code, message } = asSwainError(error);
        this.context.log.error("a pod could not be looked after", { pod: this.key, code, message });
      }
    }
    this.busy = false;
    for (const waiter of this.waiters.splice(0)) waiter();
  }

  /** One look and one step. */
  private async pass(): Promise<void> {
    this.timer?.();
    this.timer = null;
    if (this.context.outage() === null) await this.look();
    if (this.stopping !== null) await this.stopping;
    const { record, step } = this.next();
    this.keep(record);
    this.report();
    if (step.do === "wait") {
      this.wait(step);
    } else if (step.do === "done") {
      if (this.pod === null) {
        // A check that ends later must not say so again: another may have the name by then.
        this.closed = true;
        this.context.onGone(this.key);
      }
    } else if (step.do === "note") {
      await this.note();
      this.again = true;
    } else if (this.context.outage() === null || (step.do === "stop" && this.isOverdue())) {
      await (step.do === "stop" ? this.stop(step) : this.act(step));
      this.again = true;
    }
  }

  private next(): { record: PodRecord; step: Step } {
    const { pod, containers, record } = this;
    return nextStep({ pod, containers, record, fence: this.fence(), now: this.context.clock.mono() });
  }

  /** Reads the containers that may have changed. */
  private async look(): Promise<void> {
    for (const id of this.changed) {
      this.changed.delete(id);
      try {
        const info = await this.context.driver.inspect(id);
        this.see(id, info);
      } catch (error) {
        this.changed.add(id);
        this.trouble(error);
        return;
      }
    }
  }

  private see(id: string, info: ContainerInfo | null): void {
    if (id === this.starting) this.starting = null;
    const at = this.containers.findIndex((container) => container.id === id);
    if (info === null) {
      if (at >= 0) this.containers.splice(at, 1);
    } else if (at >= 0) {
      this.containers[at] = info;
    } else if (info.pod === this.key) {
      this.containers.push(info);
    }
  }

  /** Never rejects. */
  private stop(step: Extract<Step, { do: "stop" | "remove" }>): Promise<void> {
    const stopping = this.act(step).finally(() => {
      this.stopping = null;
    });
    this.stopping = stopping;
    return stopping;
  }

  /** Lets the next start of the agent know what this one makes of a fenced pod. */
  private async note(): Promise<void> {
    const isWritten = await this.context.save();
    this.keep(noted(this.record, isWritten));
  }

  private async act(step: Action): Promise<void> {
    if (step.do === "start") this.starting = step.id;
    try {
      await perform(step, this.context, this.target);
    } catch (error) {
      for (const { id } of this.containers) this.changed.add(id);
      if (error instanceof SwainError && error.code === "STOPPED") return;
      // An engine that does not answer is asked again to stop a fenced pod.
      if (this.trouble(error) && !(step.do === "stop" && this.isOverdue())) return;
      const known = asSwainError(error);
      this.context.log.warn(`could not ${step.do}`, { pod: this.key, code: known.code, message: known.message });
      const now = this.context.clock.mono();
      const failed = foldFailure(this.record, this.policy, step.do, known, now);
      const isHurried = step.do === "stop" && this.fence() !== null && failed.retryAt !== null;
      this.keep(isHurried ? { ...failed, retryAt: Math.min(failed.retryAt, now + bounds.fenceRetryMs) } : failed);
    }
  }

  private async abortable(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const abort = new AbortController();
    this.abort = abort;
    try {
      await work(abort.signal);
    } catch (error) {
      // What a broken-off driver says about it does not matter.
      throw abort.signal.aborted ? (abort.signal.reason as SwainError) : error;
    } finally {
      this.abort = null;
    }
  }

  /** True when the error means that the engine does not answer. */
  private trouble(error: unknown): boolean {
    const known = asSwainError(error);
    if (known.code !== "ENGINE_UNREACHABLE") {
      if (known.code === "INTERNAL") this.context.log.error(known.message, { pod: this.key });
      return false;
    }
    this.context.onOutage(known);
    return true;
  }

  private keep(record: PodRecord): void {
    const before = this.record;
    this.record = record;
    if (!sameKept(before, record)) this.context.saveSoon();
  }

  /** The state last reported; assigned before the first report. */
  get state(): string {
    return this.last?.state ?? "assigned";
  }

  private report(): void {
    if (this.pod === null) return;
    const report = podReport({
      pod: this.pod,
      containers: this.containers,
      record: this.record,
      advertise: this.context.identity.advertise,
      now: this.context.clock.mono(),
      outage: this.context.outage(),
      last: this.last,
    });
    if (report === null || report === this.last) return;
    const text = JSON.stringify(report);
    if (text === this.lastText) return;
    this.last = report;
    this.lastText = text;
    this.context.onReport(this.key, report);
  }

  private wait(step: Extract<Step, { do: "wait" }>): void {
    for (const name of step.probe) this.probe(name);
    if (step.until === null || this.closed) return;
    const delay = Math.max(0, step.until - this.context.clock.mono());
    this.timer = this.context.clock.after(delay, () => this.wake());
  }

  /** Checks a container beside the worker: a dead address must not hold up a restart. */
  private probe(name: string): void {
    const container = this.pod?.containers.find((one) => one.name === name);
    if (container === undefined || this.probing.has(name)) return;
    this.probing.add(name);
    const round = this.record.upSince;
    void this.check(container).then((outcome) => {
      this.probing.delete(name);
      if (this.record.upSince === round && round !== null) {
        const { prober, clock } = this.context;
        this.keep(foldProbe(this.record, container, outcome, prober.rechecks, clock.mono()));
      }
      this.wake();
    });
  }

  /** The first thing that is wrong with a container, if anything is. */
  private async check(container: Container): Promise<Outcome> {
    const { gates, prober, identity } = this.context;
    const info = this.containers.find(({ name }) => name === container.name);
    const { targets, missing } = targetsOf(container, this.containers, identity.advertise);
    if (info === undefined || missing !== null) return { ok: false, reached: false, why: missing ?? "it is gone" };
    try {
      const outcomes = await Promise.all(targets.map((target) => gates.probe.run(() => prober.check(info, target))));
      return outcomes.find(({ ok }) => !ok) ?? { ok: true, reached: true, why: "" };
    } catch (error) {
      this.context.log.error("a probe failed in an unexpected way", { pod: this.key, message: String(error) });
      return { ok: false, reached: false, why: "the check itself failed" };
    }
  }
}

/** The template its containers were made from, as far as one of them says; undefined when that is not known. */
function templateOf(pod: AssignedPod | null, containers: readonly ContainerInfo[]): string | undefined {
  return pod?.templateId ?? containers.find(({ templateId }) => templateId !== undefined)?.templateId;
}
