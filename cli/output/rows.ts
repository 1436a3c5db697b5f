// What `get` shows of each kind of object: headings and cells, short and wide.
import type {
  AutoscalerObject,
  Feed,
  NodeObject,
  PodObject,
  ServiceObject,
  WorkloadObject,
} from "../../schemas/generated/types.ts";
import type { Resource } from "../kinds.ts";
import type { Cell } from "./table.ts";
import { ageText, cpuText, memoryText } from "./units.ts";

export interface Column<T> {
  readonly heading: string;
  /** Only with -o wide. */
  readonly wide?: true;
  /** Only where objects of several namespaces are shown. */
  readonly namespaced?: true;
  readonly cell: (object: T, now: number) => Cell;
}

const text = (value: string | number | undefined): Cell => ({ text: String(value ?? "") });
const namespace = { heading: "NAMESPACE", namespaced: true } as const;

type Style = NonNullable<Cell["style"]>;
const stateStyles: Readonly<Record<string, Style>> = {
  ready: "good",
  steady: "good",
  failed: "bad",
  lost: "bad",
  halted: "bad",
  unknown: "warn",
  backoff: "warn",
  pending: "warn",
};

/** A state word with its colour. */
export function stateCell(state: string, shown: string = state): Cell {
  const style = stateStyles[state];
  return style === undefined ? { text: shown } : { text: shown, style };
}

/** `CODE: sentence`, as the last column. */
export const because = (reason: string, message: string): string =>
  [reason, message].filter((part) => part !== "").join(": ");

/** The state as people should read it: a copy may still run on a node that is not heard. */
export const podState = ({ status }: PodObject): Cell =>
  stateCell(status.state, status.possiblyRunning ? `${status.state} (possibly running)` : status.state);

const addresses = ({ status }: PodObject): string =>
  (status.addresses ?? []).map(({ name, host, hostPort }) => `${name}=${host}:${hostPort}`).join(",") || "-";

const podColumns: readonly Column<PodObject>[] = [
  { ...namespace, cell: ({ metadata }) => text(metadata.namespace) },
  { heading: "NAME", cell: ({ metadata }) => text(metadata.name) },
  { heading: "STATE", cell: podState },
  { heading: "RESTARTS", cell: ({ status }) => text(status.restarts) },
  { heading: "NODE", cell: ({ spec }) => text(spec.node ?? "-") },
  { heading: "AGE", cell: ({ status }, now) => text(ageText(now - status.created)) },
  { heading: "WORKLOAD", wide: true, cell: ({ spec }) => text(spec.workload) },
  { heading: "ADDRESSES", wide: true, cell: (pod) => text(addresses(pod)) },
  { heading: "REASON", cell: ({ status }) => text(because(status.reason, status.message)) },
];

/** What a workload's containers run. */
const sources = ({ spec }: WorkloadObject): string =>
  spec.containers.map(({ image, process }) => image ?? process?.command.join(" ") ?? "sim").join(", ");

const workloadColumns: readonly Column<WorkloadObject>[] = [
  { ...namespace, cell: ({ metadata }) => text(metadata.namespace) },
  { heading: "NAME", cell: ({ metadata }) => text(metadata.name) },
  { heading: "READY", cell: ({ status }) => text(`${status.ready}/${status.replicas}`) },
  { heading: "UPDATED", cell: ({ status }) => text(status.updated) },
  { heading: "PHASE", cell: ({ status }) => stateCell(status.phase) },
  { heading: "PLACEMENT", wide: true, cell: ({ spec }) => text(spec.placement) },
  { heading: "RUNS", wide: true, cell: (workload) => text(sources(workload)) },
  { heading: "REASON", cell: ({ status }) => text(because(status.reason, status.message)) },
];

/** `8080→http`, the name beside it when it was given one. */
export const servicePorts = ({ spec }: ServiceObject): string =>
  spec.ports
    .map(
      ({ name, port, targetPort }) =>
        `${name === undefined || name === String(port) ? "" : `${name}=`}${port}→${targetPort}`,
    )
    .join(",");

const serviceColumns: readonly Column<ServiceObject>[] = [
  { ...namespace, cell: ({ metadata }) => text(metadata.namespace) },
  { heading: "NAME", cell: ({ metadata }) => text(metadata.name) },
  { heading: "WORKLOAD", cell: ({ spec }) => text(spec.selector?.workload ?? "-") },
  { heading: "PORTS", cell: (service) => text(servicePorts(service)) },
  { heading: "ENDPOINTS", cell: ({ status }) => text(status.endpoints) },
  { heading: "EXTERNAL", wide: true, cell: ({ status }) => text(status.external ?? 0) },
];

/** `cpu 43%/70%`: what is seen and what is wanted. */
const targets = ({ spec, status }: AutoscalerObject): string =>
  (["cpu", "memory"] as const)
    .flatMap((resource) => {
      const seen = status.now.metrics.find((metric) => metric.resource === resource)?.percent;
      return spec[resource] === undefined
        ? []
        : [`${resource} ${seen === undefined ? "-" : `${seen}%`}/${spec[resource]}%`];
    })
    .join(", ");

const autoscalerColumns: readonly Column<AutoscalerObject>[] = [
  { ...namespace, cell: ({ metadata }) => text(metadata.namespace) },
  { heading: "NAME", cell: ({ metadata }) => text(metadata.name) },
  { heading: "WORKLOAD", cell: ({ spec }) => text(spec.workload) },
  { heading: "USE/WANTED", cell: (autoscaler) => text(targets(autoscaler)) },
  { heading: "MIN", cell: ({ spec }) => text(spec.minReplicas) },
  { heading: "MAX", cell: ({ spec }) => text(spec.maxReplicas) },
  { heading: "REPLICAS", cell: ({ status }) => text(status.now.replicas ?? "-") },
  {
    heading: "CHANGED",
    cell: ({ status }, now) => text(status.last === undefined ? "-" : `${ageText(now - status.last.time)} ago`),
  },
  { heading: "REASON", cell: ({ status }) => text(status.now.reason) },
];

const labels = (map: Readonly<Record<string, string>>): string =>
  Object.entries(map)
    .map(([key, value]) => `${key}=${value}`)
    .join(",") || "-";

/** The state, and what operators decided beside it. */
export const nodeState = ({ status }: NodeObject): Cell => {
  const { state, mode = "active" } = status;
  if (mode === "active") return stateCell(state);
  return stateCell(state === "ready" ? "pending" : state, `${state}, ${mode}`);
};

const nodeColumns: readonly Column<NodeObject>[] = [
  { heading: "NAME", cell: ({ metadata }) => text(metadata.name) },
  { heading: "STATE", cell: nodeState },
  { heading: "RUNTIME", cell: ({ facts }) => text(facts.runtime) },
  { heading: "PODS", cell: ({ status, facts }) => text(`${status.pods}/${facts.capacity.pods}`) },
  {
    heading: "CPU",
    cell: ({ status, facts }) => text(`${cpuText(status.reserved.cpuMillis)}/${cpuText(facts.capacity.cpuMillis)}`),
  },
  {
    heading: "MEMORY",
    cell: ({ status, facts }) =>
      text(`${memoryText(status.reserved.memoryBytes)}/${memoryText(facts.capacity.memoryBytes)}`),
  },
  { heading: "SINCE", cell: ({ status }, now) => text(ageText(now - status.since)) },
  { heading: "ADDRESS", wide: true, cell: ({ facts }) => text(facts.advertise) },
  { heading: "HOSTNAME", wide: true, cell: ({ facts }) => text(facts.hostname) },
  { heading: "ENGINE", wide: true, cell: ({ facts }) => text(facts.engine) },
  { heading: "VERSION", wide: true, cell: ({ facts }) => text(facts.version) },
  { heading: "LABELS", wide: true, cell: ({ facts }) => text(labels(facts.labels)) },
  { heading: "REASON", cell: ({ status }) => text(because(status.reason, status.message)) },
];

/** The parts of an event's subject, `<namespace or _>/<kind>/<name>`, and its verb. */
export function eventParts({ subject, type }: Feed): { namespace: string; kind: string; name: string; verb: string } {
  const [scope = "_", kind = "", name = ""] = subject.split("/");
  return { namespace: scope === "_" ? "" : scope, kind, name, verb: type.split(".").at(-1) ?? "" };
}

/** What an event says beyond its object and verb. */
export function eventDetail({ data }: Feed): string {
  const item = data as Readonly<Record<string, unknown>>;
  const observed = (item.observed ?? {}) as Readonly<Record<string, unknown>>;
  const word = (value: unknown): string => (typeof value === "string" ? value : "");
  const facts = [
    typeof item.node === "string" ? `on ${item.node}` : "",
    item.verb === "scaled" && typeof item.replicas === "number" ? `to ${item.replicas}` : "",
    because(word(item.reason) || word(observed.reason), word(item.message) || word(observed.message)),
  ];
  return facts.filter((fact) => fact !== "").join(" ");
}

const eventColumns: readonly Column<Feed>[] = [
  { ...namespace, cell: (event) => text(eventParts(event).namespace || "-") },
  { heading: "AGE", cell: ({ time }, now) => text(ageText(now - Date.parse(time))) },
  { heading: "SEQUENCE", wide: true, cell: ({ sequence, index }) => text(`${sequence}.${index}`) },
  { heading: "CAUSE", wide: true, cell: ({ cause }) => text(cause) },
  { heading: "OBJECT", cell: (event) => text(`${eventParts(event).kind}/${eventParts(event).name}`) },
  { heading: "EVENT", cell: (event) => stateCell(eventParts(event).verb) },
  { heading: "DETAIL", cell: (event) => text(eventDetail(event)) },
];

/** The columns of a kind, widest form; each column is applied to objects of that kind only. */
export const columnsOf: Readonly<Record<Resource, readonly Column<never>[]>> = {
  pod: podColumns,
  workload: workloadColumns,
  service: serviceColumns,
  autoscaler: autoscalerColumns,
  node: nodeColumns,
  event: eventColumns,
};
