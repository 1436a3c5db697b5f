// Filters: may this pod go to this node? Each says whether it applies, checks one node, and explains its refusals.
import type { ReadState, Template } from "../model.ts";
import { unlimitedByProcesses, unsupportedByProcesses } from "../processes.ts";
import { type Candidate, hostPortsOf } from "./room.ts";

export interface Filter {
  readonly name: string;
  applies(template: Template): boolean;
  /** True when the node passes. */
  check(template: Template, candidate: Candidate, state: ReadState, candidates: readonly Candidate[]): boolean;
  /** Why that many nodes were refused, to go after "3 nodes …". */
  explain(template: Template): string;
}

const healthy: Filter = {
  name: "healthy",
  applies: () => true,
  // One whose agent follows another log is unheard as soon as that is sure.
  check: (_template, { node }) => node.state === "ready" && node.reason !== "LOG_UNKNOWN",
  explain: () => "unheard",
};

const engine: Filter = {
  name: "engine",
  applies: () => true,
  check: (_template, { node }) => node.reason === "" || node.reason === "DISK_ERROR",
  explain: () => "whose engine does not answer",
};

const disk: Filter = {
  name: "disk",
  applies: () => true,
  check: (_template, { node }) => node.reason !== "DISK_ERROR",
  explain: () => "whose disk takes no writes",
};

const active: Filter = {
  name: "active",
  applies: () => true,
  check: (_template, { node }) => node.mode === "active",
  explain: () => "cordoned",
};

/** Whether a node of that runtime can run every container of the template. */
export function runs(runtime: "docker" | "process" | "sim", template: Template): boolean {
  if (runtime === "sim") return true;
  return template.spec.containers.every((container) =>
    runtime === "docker" ? container.image !== undefined : container.process !== undefined,
  );
}

const runtime: Filter = {
  name: "runtime",
  applies: () => true,
  check: (template, { node }) => runs(node.facts.runtime, template),
  explain: (template) => {
    const wants = template.spec.containers.some((container) => container.image !== undefined)
      ? "an image, which needs a container engine"
      : template.spec.containers.some((container) => container.process !== undefined)
        ? "a process, which needs the process driver"
        : "the sim driver";
    return `cannot run it (it asks for ${wants})`;
  },
};

const sandbox: Filter = {
  name: "sandbox",
  applies: (template) => unsupportedByProcesses(template.spec).length > 0,
  check: (_template, { node }) => node.facts.runtime !== "process",
  explain: (template) => `with the process driver, which has no ${unsupportedByProcesses(template.spec).join(", ")}`,
};

const limits: Filter = {
  name: "limits",
  applies: (template) => unlimitedByProcesses(template.spec, []).length > 0,
  check: (template, { node }) =>
    node.facts.runtime !== "process" ||
    unlimitedByProcesses(template.spec, node.facts.processLimits ?? []).length === 0,
  explain: (template) =>
    `whose agent may not make the control groups for ${unlimitedByProcesses(template.spec, []).join(", ")}`,
};

const fence: Filter = {
  name: "fence",
  applies: (template) => template.spec.fence === true,
  check: (_template, { node }) => node.facts.fencing === true,
  explain: () => "whose agent is too old to fence pods",
};

const selector: Filter = {
  name: "nodeSelector",
  applies: (template) => Object.keys(template.spec.nodeSelector ?? {}).length > 0,
  check: (template, { node }) =>
    Object.entries(template.spec.nodeSelector ?? {}).every(([key, value]) => node.facts.labels[key] === value),
  explain: (template) => {
    const wanted = Object.entries(template.spec.nodeSelector ?? {}).map(([key, value]) => `${key}=${value}`);
    return `without the labels ${wanted.join(",")}`;
  },
};

const podCount: Filter = {
  name: "pods",
  applies: () => true,
  check: (_template, { node, pods }) => pods < node.facts.capacity.pods,
  explain: () => "with no room for another pod",
};

const cpu: Filter = {
  name: "cpu",
  applies: (template) => template.requests.cpuMillis > 0,
  check: (template, { node, reserved }) =>
    reserved.cpuMillis + template.requests.cpuMillis <= node.facts.capacity.cpuMillis,
  explain: (template) => `with less than ${template.requests.cpuMillis}m CPU free`,
};

const memory: Filter = {
  name: "memory",
  applies: (template) => template.requests.memoryBytes > 0,
  check: (template, { node, reserved }) =>
    reserved.memoryBytes + template.requests.memoryBytes <= node.facts.capacity.memoryBytes,
  explain: (template) => `with less than ${mebibytes(template.requests.memoryBytes)} memory free`,
};

const hostPort: Filter = {
  name: "hostPort",
  applies: (template) => template.hostPorts.length > 0,
  check: (template, candidate, state, candidates) => {
    const taken = hostPortsOf(state, candidates, candidate);
    return template.hostPorts.every((port) => !taken.has(port));
  },
  explain: (template) => `with hostPort ${template.hostPorts.join(" or ")} taken by another pod of the same machine`,
};

const networkPod: Filter = {
  name: "network",
  applies: (template) => template.networkOf !== null,
  check: (template, { perWorkload }) => (perWorkload.get(template.networkOf ?? "") ?? 0) > 0,
  explain: (template) =>
    `without a pod of workload ${template.networkOf?.split("/")[1] ?? ""}, whose network it shares`,
};

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 1024 / 1024)}Mi`;

/** In the order in which they are asked; a node's refusal is counted at the first one that refuses. */
export const filters: readonly Filter[] = [
  healthy,
  engine,
  disk,
  active,
  runtime,
  sandbox,
  limits,
  fence,
  selector,
  podCount,
  cpu,
  memory,
  hostPort,
  networkPod,
];
