// What an agent says about a pod: its state with the reason, from the record and what the engine shows. Pure.
import type { AssignedPod, PodAddress, PodObserved, PodReport } from "../../../schemas/generated/types.ts";
import type { SwainError } from "../../kernel/errors.ts";
import { limits } from "../../bus/limits.ts";
import { bounds } from "../bounds.ts";
import type { ContainerInfo } from "../runtime/driver.ts";
import type { Ending, PodRecord } from "./record.ts";
import { endedBefore, isLasting } from "./restart.ts";
import { lacksLease } from "./fence.ts";
import { isReady, isUnheard, notReadyMessage } from "./readiness.ts";

export interface ReportInput {
  readonly pod: AssignedPod;
  readonly containers: readonly ContainerInfo[];
  readonly record: PodRecord;
  readonly advertise: string;
  readonly now: number;
  /** Set while the engine does not answer. */
  readonly outage: SwainError | null;
  /** What was said before in this run of the agent. */
  readonly last: PodReport | null;
}

const none: Ending | { readonly code: ""; readonly message: "" } = { code: "", message: "" };

const leaseAwaited: Ending = { code: "FENCED", message: "It is fenced, and starts when a leader answers this node." };

/** The report of now; null when there is nothing (new) to say yet. */
export function podReport(input: ReportInput): PodReport | null {
  const { pod, record, outage, last, containers } = input;
  if (pod.desired === "stop") {
    if (containers.length === 0 && outage === null) return say(input, "stopped", stoppedReason(record));
    return troubled(last, outage ?? record.failure);
  }
  if (endedBefore(pod, containers, record)) return last;
  if (record.finished !== null) {
    // Only then may another take its place.
    const isOver = containers.every(({ state }) => state !== "running");
    return isOver ? say(input, record.finished, record.ended ?? none) : troubled(last, outage ?? record.ended);
  }
  if (record.fenced) return say(input, "backoff", record.ended ?? none);
  // The engine has nothing to do with it, and does not hide it when it goes.
  if (record.failure !== null && isLasting(record.failure.code)) return say(input, "failed", record.failure);
  if (outage !== null) {
    const settled = record.upSince !== null;
    if (settled) return last;
    // Whether a pod that had been started still runs is not known now; what was said last stays.
    if (last === null && record.started.length > 0) return null;
    return last === null ? say(input, "starting", outage) : troubled(last, outage);
  }
  if (record.failure !== null) return say(input, "backoff", record.failure);
  if (record.retryAt !== null) return say(input, "backoff", record.ended ?? none);
  return progress(input);
}

function progress(input: ReportInput): PodReport | null {
  const { pod, record, containers, last } = input;
  if (record.upSince === null) {
    if (lacksLease(record, input.now)) return say(input, "starting", leaseAwaited);
    const missing = pod.containers.some(({ name }) => !containers.some((container) => container.name === name));
    const pulling = missing && pod.containers.some(({ name }) => !record.pulled.includes(name));
    const progress = { code: "", message: record.progress };
    return pulling ? say(input, "pulling", record.ended ?? progress) : say(input, "starting", record.ended ?? none);
  }
  if (isReady(pod, record)) return say(input, "ready", none);
  // Before the first probe answered nothing is said: an adopted pod would look not ready for a moment.
  if (isUnheard(pod, record, last === null, input.now)) return last;
  const late = input.now - record.upSince >= bounds.notReadyAfterMs;
  return say(input, "running", late ? { code: "NOT_READY", message: notReadyMessage(pod, record) } : none);
}

const stoppedReason = (record: PodRecord): { code: string; message: string } =>
  record.finished === "failed" && record.ended !== null ? record.ended : { code: "STOPPED", message: "" };

/** What was said last, with the trouble that keeps it from going on. */
function troubled(last: PodReport | null, trouble: { code: string; message: string } | null): PodReport | null {
  if (last === null || trouble === null) return last;
  return { ...last, observed: { ...last.observed, reason: trouble.code, message: cut(trouble.message) } };
}

function say(
  input: ReportInput,
  state: PodReport["state"],
  why: { readonly code: string; readonly message: string },
): PodReport {
  const { pod, record, containers } = input;
  const observed: PodObserved = { reason: why.code, message: cut(why.message), restarts: record.restarts };
  if (record.exitCode !== null) observed.exitCode = record.exitCode;
  const addresses = state === "running" || state === "ready" ? addressesOf(containers, input.advertise) : [];
  if (addresses.length > 0) observed.addresses = addresses;
  // On the way up they come one after another, and each would be a report of its own.
  const rising = state === "pulling" || state === "starting";
  if (containers.length > 0 && !rising)
    observed.containers = containers.slice(0, 16).map(({ name, id }) => ({ name, id }));
  const { namespace, name, templateId } = pod;
  return { namespace, name, ...(templateId === undefined ? {} : { templateId }), state, observed };
}

/** An engine may say as much as it likes. */
const cut = (message: string): string => message.slice(0, limits.observedText);

function addressesOf(containers: readonly ContainerInfo[], advertise: string): PodAddress[] {
  return containers.flatMap((container) => container.ports.map((port) => ({ host: advertise, ...port })));
}
