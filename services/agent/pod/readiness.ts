// Readiness of one container, and pure: when its next probe is due, what it tries, and what an outcome means for the
// streaks. A container with a check of its own follows that check's rhythm; one that only declares ports is tried quickly
// until it is reached and then looked at now and then.
import type { AssignedPod, Container } from "../../../schemas/generated/types.ts";
import { checkOf, mustShow } from "../../core/readiness.ts";
import { delayMs } from "../../kernel/backoff.ts";
import { bounds, probeBackoff } from "../bounds.ts";
import type { Outcome, ProbeTarget } from "../prober.ts";
import type { ContainerInfo, PublishedPort } from "../runtime/driver.ts";
import type { PodRecord, Probe } from "./record.ts";

/** What has to hold of a container, with its rhythm. Times in milliseconds. */
interface Rule {
  readonly initialDelayMs: number;
  readonly intervalMs: number;
  readonly successes: number;
  readonly failures: number;
  /** True when the manifest gives the rhythm: a program that answered is then not asked again before the interval. */
  readonly own: boolean;
}

const noProbe: Probe = { ready: false, hits: 0, misses: 0, tries: 0, nextAt: null, why: "" };

/** Tries of a container that was ready before: it is not starting, so it is looked at in the slow rhythm. */
const settledTries = 32;

function ruleOf(container: Container): Rule {
  const check = checkOf(container.readiness);
  if (check !== null) return { ...check, own: true };
  return { initialDelayMs: 0, intervalMs: bounds.recheckMs, successes: 1, failures: bounds.recheckMisses, own: false };
}

/** The probes of a pod whose containers all run since `now`. `adopted`: they ran before, so no delay is waited for. */
export function firstProbes(pod: AssignedPod, adopted: boolean, now: number): PodRecord["probes"] {
  const shown = pod.containers.filter(mustShow);
  return Object.fromEntries(
    shown.map((container) => {
      const wait = adopted ? 0 : ruleOf(container).initialDelayMs;
      return [container.name, { ...noProbe, nextAt: now + wait }];
    }),
  );
}

/** True when every container has shown that it is ready. */
export function isReady(pod: AssignedPod, record: PodRecord): boolean {
  return pod.containers.every((one) => !mustShow(one) || record.probes[one.name]?.ready === true);
}

/** Containers to be probed now, and when the next of the others is due. */
export function dueProbes(record: PodRecord, now: number): { due: string[]; until: number | null } {
  const due: string[] = [];
  let until: number | null = null;
  for (const [name, { nextAt }] of Object.entries(record.probes)) {
    if (nextAt === null) continue;
    if (nextAt <= now) due.push(name);
    else until = Math.min(until ?? nextAt, nextAt);
  }
  return { due, until };
}

/** Takes the outcome of a probe into the record. `rechecks`: false when the driver tells of every change by itself. */
export function foldProbe(
  record: PodRecord,
  container: Container,
  outcome: Outcome,
  rechecks: boolean,
  now: number,
): PodRecord {
  const probe = record.probes[container.name];
  if (probe === undefined) return record;
  const next = outcome.ok ? hit(probe, ruleOf(container), rechecks, now) : miss(probe, ruleOf(container), outcome, now);
  return { ...record, probes: { ...record.probes, [container.name]: next } };
}

function hit(probe: Probe, rule: Rule, rechecks: boolean, now: number): Probe {
  const hits = Math.min(probe.hits + 1, rule.successes);
  if (!probe.ready && hits < rule.successes) {
    const why = `${hits} of ${rule.successes} checks in a row succeeded`;
    return { ...probe, hits, misses: 0, why, nextAt: now + rule.intervalMs };
  }
  return { ...noProbe, ready: true, hits, nextAt: rechecks ? now + rule.intervalMs : null };
}

function miss(probe: Probe, rule: Rule, outcome: Outcome, now: number): Probe {
  const { why } = outcome;
  if (probe.ready && probe.misses + 1 < rule.failures) {
    return { ...probe, misses: probe.misses + 1, hits: 0, nextAt: now + rule.intervalMs };
  }
  const before = probe.ready ? settledTries : probe.tries;
  const quick = Math.min(delayMs(probeBackoff, before), rule.intervalMs);
  // A program that is not there yet costs nothing to look for; one that answers decides itself how often it is asked.
  const delay = rule.own && outcome.reached ? rule.intervalMs : quick;
  const tries = Math.min(before + 1, settledTries);
  return { ready: false, hits: 0, misses: probe.misses + 1, tries, nextAt: now + delay, why };
}

/** What to try of a container. `missing` says why nothing can be tried. */
export function targetsOf(
  container: Container,
  containers: readonly ContainerInfo[],
  host: string,
): { readonly targets: readonly ProbeTarget[]; readonly missing: string | null } {
  const info = containers.find(({ name }) => name === container.name);
  if (info === undefined) return { targets: [], missing: "it does not run" };
  const check = checkOf(container.readiness);
  const targets: ProbeTarget[] = [];
  for (const { name } of container.ports ?? []) {
    const port = info.ports.find((one) => one.name === name);
    if (port?.host !== undefined && port.host !== host) targets.push(publishedBefore(port, port.host));
    if (name === check?.port) continue;
    if (port === undefined) return { targets: [], missing: `port ${name} is not published` };
    const timeoutMs = bounds.probeTimeoutMs;
    targets.push({ what: `port ${name}`, http: null, ...placeOf(port, host), timeoutMs });
  }
  if (check === null) return { targets, missing: null };
  // A process shares the node's network: what it does not declare listens where it likes, most likely where the node is reached.
  const own = container.process === undefined ? info.address : host;
  const place = placeOfCheck(check.port, own, containers, host);
  if (place === null) return { targets: [], missing: `port ${check.port} has no address that this node reaches` };
  const what = check.http === null ? `port ${check.port}` : `GET ${check.http.path} on port ${check.port}`;
  return { targets: [...targets, { what, http: check.http, ...place, timeoutMs: check.timeoutMs }], missing: null };
}

/** Whether others still reach the address that was advertised when the container was made: the machine may have lost it. */
const publishedBefore = ({ name, hostPort }: PublishedPort, host: string): ProbeTarget => ({
  what: `port ${name} at ${host}:${hostPort}, where it was published,`,
  http: null,
  host,
  port: hostPort,
  timeoutMs: bounds.probeTimeoutMs,
});

interface Place {
  readonly host: string;
  readonly port: number;
}

/**
 * The container's own address: the engine's published port accepts connections before the program does. Where the engine
 * gives no such address, the published port has to do.
 */
const placeOf = (port: PublishedPort, host: string): Place => ({
  host: port.local ?? port.host ?? host,
  port: port.localPort ?? port.hostPort,
});

/** By a declared port of the pod, whose containers share a network; else the number at the container's own address. */
function placeOfCheck(
  wanted: string | number,
  own: string | undefined,
  containers: readonly ContainerInfo[],
  host: string,
): Place | null {
  const declared = containers
    .flatMap(({ ports }) => ports)
    .find(({ name, containerPort }) => name === wanted || containerPort === wanted);
  if (declared !== undefined) return placeOf(declared, host);
  if (typeof wanted === "string" || own === undefined) return null;
  return { host: own, port: wanted };
}

/** Why the pod is not ready, as a sentence. */
export function notReadyMessage(pod: AssignedPod, record: PodRecord): string {
  for (const { name } of pod.containers) {
    const probe = record.probes[name];
    if (probe === undefined || probe.ready) continue;
    return `Container ${name} is not ready: ${probe.why === "" ? "its first check is still to come" : probe.why}.`;
  }
  return "";
}

/**
 * True before a check has told anything about a pod that was to be checked at once. One that ran before this agent did, and of
 * which it has said nothing yet (`isFirst`), may have been called ready: it takes as much to deny that as if this agent had.
 */
export function isUnheard(pod: AssignedPod, record: PodRecord, isFirst: boolean, now: number): boolean {
  const { adopted, upSince } = record;
  const waiting = pod.containers.flatMap((container) => {
    const probe = record.probes[container.name];
    return probe === undefined || probe.ready ? [] : [{ ...probe, rule: ruleOf(container) }];
  });
  if (adopted && isFirst) {
    const age = now - (upSince ?? now);
    return !waiting.some(({ misses, rule }) => misses >= rule.failures && age >= (rule.failures - 1) * rule.intervalMs);
  }
  if (waiting.some(({ tries }) => tries > 0)) return false;
  return waiting.some(({ nextAt }) => adopted || (nextAt !== null && upSince !== null && nextAt <= upSince));
}
