// The cluster's state as the fold of its log. Owned by one fold; everyone else reads it through these types.
import type {
  AutoscaleDecision,
  AutoscalerSpec,
  ContainerObserved,
  ExternalAddresses,
  NodeFacts,
  PodAddress,
  PodState as PodStateName,
  ServiceSpec,
  WorkloadSpec,
} from "../../schemas/generated/types.ts";

export type { PodStateName };

/** `namespace/name` */
export type Key = string;

export const keyOf = (namespace: string, name: string): Key => `${namespace}/${name}`;

export interface Resources {
  cpuMillis: number;
  memoryBytes: number;
}

export interface NodeRecord {
  readonly id: string;
  facts: NodeFacts;
  state: "ready" | "unknown";
  /** Event time of the last change of `state`, milliseconds. */
  since: number;
  /** Why it is unknown, or why it cannot start pods though it is heard; empty when it can. */
  reason: string;
  message: string;
  /** What operators decided: whether it takes new pods, and whether those it has should leave. */
  mode: "active" | "cordoned" | "draining";
  /** Why a drain does not go on, or that it is over. */
  modeReason: string;
  modeMessage: string;
  /** Sequence of the last event that changed what this node should run. */
  assignment: number;
  /** Sum of the requests of pods that hold room here. */
  reserved: Resources;
  /** How many pods hold room here. */
  holding: number;
  /** Keys of pods whose node this is. */
  readonly pods: Set<Key>;
  /** Sequence of the last event that changed this object. */
  seq: number;
}

export interface Template {
  /** Sequence of the event that set it. */
  readonly generation: number;
  readonly spec: WorkloadSpec;
  /** Of the event that set it; empty where a snapshot made before this was kept does not say. */
  readonly eventId: string;
  /** Sum of the containers' requests. */
  readonly requests: Resources;
  /** Fixed ports it takes on a node. */
  readonly hostPorts: readonly number[];
  /** The workload whose pods' network its pods share; null for a network of their own. */
  readonly networkOf: Key | null;
}

/** A template as `rollout undo` may bring it back. */
export interface PastTemplate {
  readonly generation: number;
  /** Event time at which it was set, milliseconds. */
  readonly time: number;
  readonly spec: WorkloadSpec;
}

export interface WorkloadRecord {
  readonly namespace: string;
  readonly name: string;
  labels: Record<string, string>;
  /** As applied, with defaults filled in; `replicas` is the current wish. */
  spec: WorkloadSpec;
  /** Sequence of the event that last changed the spec or the replicas. */
  generation: number;
  template: Template;
  /** Templates that pods still use, by generation; the current one is among them. */
  readonly templates: Map<number, Template>;
  /** The last templates, each once, the one set last at the end; bounded. */
  readonly history: PastTemplate[];
  /** Keys of its pods, removed ones excepted. */
  readonly pods: Set<Key>;
  /** Services that named it and do so no more → the event at which they left it; the last ones, oldest first. */
  readonly formerServices: Map<Key, number>;
  deleting: boolean;
  halted: Halt | null;
  seq: number;
}

/** A change that stopped at a pod that does not come to work. */
export interface Halt {
  readonly reason: string;
  readonly message: string;
  /** Generation of the newest other template that has been ready, which pods are made from meanwhile; null when none has. */
  readonly from: number | null;
}

export interface ServiceRecord {
  readonly namespace: string;
  readonly name: string;
  labels: Record<string, string>;
  spec: ServiceSpec;
  generation: number;
  /** Sequence of the last event that changed the endpoints head. */
  headSeq: number;
  /** Shard → pods (by key) and external endpoints (by id) in it, and the sequence of the last event that changed it. */
  readonly shards: Map<number, Shard>;
  shardCount: number;
  /** Ids of its external endpoints. */
  readonly external: Set<string>;
  seq: number;
}

export interface Shard {
  readonly pods: Set<Key>;
  readonly external: Set<string>;
  seq: number;
}

/** A program that no node runs and that registered itself as an endpoint. */
export interface ExternalRecord {
  /** `namespace/service/name` */
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly service: Key;
  addresses: ExternalAddresses;
  /** Without a renewal for this long it is removed. Renewals are no events. */
  ttlMs: number;
  /** Event time of the registration, milliseconds. */
  readonly since: number;
  seq: number;
}

export const externalId = (namespace: string, service: string, name: string): string =>
  `${namespace}/${service}/${name}`;

export interface AutoscalerRecord {
  readonly namespace: string;
  readonly name: string;
  labels: Record<string, string>;
  /** With defaults filled in. */
  spec: AutoscalerSpec;
  generation: number;
  /** Event time of the last change of its workload's replicas, whoever made it; null while there was none. */
  changedAt: number | null;
  /** Its own last change. */
  last: AutoscaleDecision | null;
  seq: number;
}

export interface PodRecord {
  readonly key: Key;
  readonly namespace: string;
  readonly name: string;
  readonly workload: Key;
  readonly slot: number;
  /** Generation of its template. */
  readonly template: number;
  node: string | null;
  /** What is known of it: the agent's last report, or the controller's decision. */
  state: PodStateName;
  /** What its node is told: run, drain (run, but out of the endpoints), stop. */
  desired: "run" | "drain" | "stop";
  /** Its node is unheard; `state` is then what was last known, and people are shown `unknown`. */
  unheard: boolean;
  reason: string;
  message: string;
  restarts: number;
  exitCode: number | null;
  addresses: PodAddress[];
  containers: ContainerObserved[];
  /** Event time of the last change of `state`, milliseconds. */
  since: number;
  readonly created: number;
  /** It ended and will not start again: its room and fixed ports are free, whatever is decided about it later. */
  ended: boolean;
  /** Why it waits for its unheard node, out of the endpoints, instead of being made anew elsewhere; null when it does not. */
  held: { reason: string; message: string } | null;
  /** True once it has been ready. */
  wasReady: boolean;
  /** Sequence of the event that took it out of the endpoints (stopping or lost). */
  leftAt: number;
  /** Sequence of the last event that changed what its node is told about it. */
  assignment: number;
  seq: number;
}

export interface State {
  /** Empty until the first leader.elected. */
  logId: string;
  /** Ids of the logs this one was restored from, oldest first; bounded. */
  readonly parents: string[];
  clusterUid: string;
  /** Last sequence folded, foreign records included. */
  sequence: number;
  /** Sequence of the last accepted event. */
  accepted: number;
  epoch: number;
  leader: string;
  lastEventId: string;
  /** Event time of the last accepted event. */
  time: number;
  /** Records in the stream that no leader wrote. */
  foreign: number;
  readonly nodes: Map<string, NodeRecord>;
  readonly workloads: Map<Key, WorkloadRecord>;
  readonly services: Map<Key, ServiceRecord>;
  readonly pods: Map<Key, PodRecord>;
  /** External endpoints by id. */
  readonly external: Map<string, ExternalRecord>;
  readonly autoscalers: Map<Key, AutoscalerRecord>;
  /** Services by the workload they select. */
  readonly servicesOf: Map<Key, Set<Key>>;
  /** The autoscaler of a workload; it has one at most. */
  readonly autoscalerOf: Map<Key, Key>;
  /** Pods without a node. */
  readonly pending: Set<Key>;
  /** Pods that left the endpoints and wait for the proxies. */
  readonly draining: Set<Key>;
  /** Operation id → sequence of its event, oldest first, bounded. */
  readonly operations: Map<string, number>;
  /** Number of the last pod made; part of its name. */
  podCounter: number;
}

type Immutable<T> =
  T extends Map<infer K, infer V>
    ? ReadonlyMap<K, Immutable<V>>
    : T extends Set<infer V>
      ? ReadonlySet<V>
      : T extends readonly (infer V)[]
        ? readonly Immutable<V>[]
        : T extends object
          ? { readonly [K in keyof T]: Immutable<T[K]> }
          : T;

/** The state as plans and projections may see it. */
export type ReadState = Immutable<State>;
export type ReadPod = Immutable<PodRecord>;
export type ReadNode = Immutable<NodeRecord>;
export type ReadWorkload = Immutable<WorkloadRecord>;
export type ReadExternal = Immutable<ExternalRecord>;
export type ReadService = Immutable<ServiceRecord>;
export type ReadAutoscaler = Immutable<AutoscalerRecord>;

/** What an event touched, for projections, assignments and the next plan. */
export interface Touched {
  readonly nodes: Set<string>;
  readonly workloads: Set<Key>;
  /** Workloads whose desired object changed or went. */
  readonly desired: Set<Key>;
  /** Services whose desired object changed or went. */
  readonly services: Set<Key>;
  readonly pods: Set<Key>;
  readonly autoscalers: Set<Key>;
  /** KV keys of the endpoints bucket. */
  readonly endpoints: Set<string>;
  /** Node → pods of which it must be told something new, or that they are gone. */
  readonly assignments: Map<string, Set<Key>>;
}

export function nothingTouched(): Touched {
  return {
    nodes: new Set(),
    workloads: new Set(),
    desired: new Set(),
    services: new Set(),
    pods: new Set(),
    autoscalers: new Set(),
    endpoints: new Set(),
    assignments: new Map(),
  };
}
