// Whether and when an ended pod starts again, and when a failed step is tried again. Pure.
import type { AssignedPod } from "../../../schemas/generated/types.ts";
import { delayMs } from "../../kernel/backoff.ts";
import type { Code, SwainError } from "../../kernel/errors.ts";
import { bounds, failureBackoff, restartBackoff } from "../bounds.ts";
import type { ContainerInfo } from "../runtime/driver.ts";
import type { Ending, PodRecord, StepName } from "./record.ts";

/** Errors that the same try will most likely meet again: the pod is `failed`, not in `backoff`. */
const lasting: ReadonlySet<Code> = new Set<Code>([
  "IMAGE_NOT_FOUND",
  "IMAGE_PULL_DENIED",
  "IMAGE_NEVER_PULLED",
  "PORT_TAKEN",
  "COMMAND_NOT_FOUND",
  "MOUNT_FAILED",
  "SANDBOX_REFUSED",
  "GPU_UNAVAILABLE",
  "FIELD_UNSUPPORTED",
  "ENV_FILE_FAILED",
]);

export function isLasting(code: Code): boolean {
  return lasting.has(code);
}

/** Delay before the restart that makes `spent` of the budget used: the first is immediate, then 1 s doubling to 60 s. */
export function restartDelayMs(spent: number): number {
  return spent <= 1 ? 0 : delayMs(restartBackoff, spent - 2);
}

/** It ended on this node before that was set up anew: nothing is left of it but what the log says. */
export function endedBefore(pod: AssignedPod, containers: readonly ContainerInfo[], record: PodRecord): boolean {
  return pod.ended === true && record.finished === null && containers.length === 0;
}

/** A container of the round that runs no more; info null when it is not even there, code null when nobody knows it. */
interface EndedContainer {
  readonly name: string;
  readonly info: ContainerInfo | null;
  readonly code: number | null;
}

/** Containers that were started and do not run. */
export function endedOf(
  pod: AssignedPod,
  containers: ReadonlyMap<string, ContainerInfo>,
  record: PodRecord,
): EndedContainer[] {
  const ended: EndedContainer[] = [];
  for (const { name } of pod.containers) {
    if (!record.started.includes(name)) continue;
    const info = containers.get(name) ?? null;
    // A container that is made but not started: the agent ended between its note and the start.
    if (info !== null && info.state !== "exited") continue;
    ended.push({ name, info, code: (info === null ? record.exited[name] : info.exitCode) ?? null });
  }
  return ended;
}

function endingOf(ended: EndedContainer): Ending {
  const { code } = ended;
  if (ended.info?.oomKilled === true) {
    return { code: "OOM_KILLED", message: `Container ${ended.name} was killed: it used more memory than its limit.` };
  }
  if (ended.info === null && code === null) {
    return { code: "EXIT_UNOBSERVED", message: `Container ${ended.name} is not there any more.` };
  }
  if (code === null) return { code: "EXIT_UNOBSERVED", message: `Container ${ended.name} ended while nobody watched.` };
  return { code: "EXITED", message: `Container ${ended.name} exited with code ${code}.` };
}

/** Takes ended containers into the record: the pod starts again (now or later), is finished, or goes on without them. */
export function foldEndings(
  pod: AssignedPod,
  containers: ReadonlyMap<string, ContainerInfo>,
  record: PodRecord,
  now: number,
): PodRecord {
  const ended = endedOf(pod, containers, record);
  if (ended.length === 0) return record;
  const unclean = ended.find(({ code }) => code !== 0);
  const culprit = unclean ?? ended[0];
  if (culprit === undefined) return record;
  const again = pod.restartPolicy === "Always" || (pod.restartPolicy === "OnFailure" && unclean !== undefined);
  if (again) return restartRecord(pod, containers, record, culprit, now);
  if (ended.length < pod.containers.length) return goesOn(record, ended);
  const clean = unclean === undefined;
  return {
    ...record,
    exitCode: culprit.code,
    ended: clean ? { code: "COMPLETED", message: "Every container ended with code 0." } : endingOf(culprit),
    finished: clean ? "stopped" : "failed",
    upSince: null,
    probes: {},
  };
}

/** The others run on. */
function goesOn(record: PodRecord, ended: readonly EndedContainer[]): PodRecord {
  const news = ended.filter(({ name, code }) => record.exited[name] !== code);
  if (news.length === 0) return record;
  return { ...record, exited: { ...record.exited, ...Object.fromEntries(news.map(({ name, code }) => [name, code])) } };
}

/** It has run for so long that its restart budget is full again. */
export const isStable = ({ upSince }: PodRecord, now: number): boolean =>
  upSince !== null && now - upSince >= bounds.stableMs;

function restartRecord(
  pod: AssignedPod,
  containers: ReadonlyMap<string, ContainerInfo>,
  record: PodRecord,
  culprit: EndedContainer,
  now: number,
): PodRecord {
  const spent = (isStable(record, now) ? 0 : record.spent) + 1;
  const delay = restartDelayMs(spent);
  const ending = endingOf(culprit);
  const wait = delay === 0 ? "" : ` It starts again in ${delay / 1000} s.`;
  return {
    ...record,
    restarts: record.restarts + 1,
    spent,
    started: [],
    exitCode: culprit.code,
    exited: {},
    ended: { code: ending.code, message: ending.message + wait },
    halting: pod.containers.some(({ name }) => containers.get(name)?.state === "running"),
    retryAt: delay === 0 ? null : now + delay,
    upSince: null,
    probes: {},
  };
}

/** Takes a step the engine refused into the record. */
export function foldFailure(
  record: PodRecord,
  policy: AssignedPod["restartPolicy"],
  step: StepName,
  error: SwainError,
  now: number,
): PodRecord {
  const attempts = record.attempts + 1;
  const failed: PodRecord = {
    ...record,
    attempts,
    failure: { step, code: error.code, message: error.message },
    retryAt: now + delayMs(failureBackoff, attempts - 1),
    // The image may have been removed since it was pulled.
    pulled: step === "create" ? [] : record.pulled,
  };
  if (policy !== "Never" || record.leaving || record.finished !== null || !isLasting(error.code)) return failed;
  // What runs of it is stopped.
  return { ...failed, finished: "failed", retryAt: null, ended: { code: error.code, message: error.message } };
}

/** Takes a step that succeeded into the record: a failure of the same step is over. */
export function foldSuccess(record: PodRecord, step: StepName): PodRecord {
  return record.failure?.step === step ? { ...record, failure: null, attempts: 0 } : record;
}
