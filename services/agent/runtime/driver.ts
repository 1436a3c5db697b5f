// The driver port: what an agent asks of a container engine, of plain processes, or of the simulation.
// A driver keeps no opinion: no restarts, no back-off, no state of its own beyond what the engine holds.
import type { Cancel } from "../../kernel/clock.ts";
import type { OnOutput } from "./output.ts";
import type { Container, ContainerPort, HostEntry, PodDns, PodNetwork } from "../../../schemas/generated/types.ts";

/** Whose containers a driver sees and makes. A driver gets it as a function that answers null until it is known. */
export interface DriverIdentity {
  readonly clusterUid: string;
  readonly node: string;
}

/** One container to make. */
export interface ContainerSpec {
  /** `namespace/name` */
  readonly pod: string;
  /** Of the pod's template, where it is known. */
  readonly templateId?: string;
  /** The manifest's container; its name is unique within the pod. */
  readonly container: Container;
  /** Variables Swain adds (SWAIN_POD, SWAIN_NODE, …); the manifest's own win nothing over these. */
  readonly env: Readonly<Record<string, string>>;
  /** The address published ports bind to. */
  readonly advertise: string;
  /** Id of the container whose network this one joins: the pod's first one, or another pod's. */
  readonly joinNetworkOf?: string;
  /** The pod's network, for the container that owns it. */
  readonly network?: PodNetwork;
  /** Lines for /etc/hosts, with the network. */
  readonly hosts?: readonly HostEntry[];
  /** Resolver settings, with the network. */
  readonly dns?: PodDns;
  /** For a pod's first container: the ports of all its containers, which the first one publishes for them. */
  readonly podPorts?: readonly ContainerPort[];
  readonly labels: Readonly<Record<string, string>>;
}

/** Where a declared port answers; read again after every start. */
export interface PublishedPort {
  readonly name: string;
  readonly containerPort?: number;
  /** The one address of this host where it is published: that advertised when it was made. Undefined = at every one. */
  readonly host?: string;
  /** At that address. */
  readonly hostPort: number;
  /** The container's own address and port, reachable from this host. */
  readonly local?: string;
  readonly localPort?: number;
}

export interface ContainerInfo {
  readonly id: string;
  /** `namespace/name` */
  readonly pod: string;
  /** The container's name within the pod. */
  readonly name: string;
  /** As it was made. */
  readonly templateId?: string;
  readonly state: "created" | "running" | "exited";
  /**
   * Only when exited: the exit code, 128 + signal when a signal ended it, null when nobody observed it. Null for 0, too, where the machine
   * was started since, or the engine was away then: both ask programs to end as they go down, and which did so for that nobody knows.
   */
  readonly exitCode?: number | null;
  readonly oomKilled: boolean;
  /** Declared ports; empty unless running. */
  readonly ports: readonly PublishedPort[];
  /** Its own address, reachable from this host; undefined unless running with one. */
  readonly address?: string;
}

export interface ContainerUsage {
  /** Thousandths of a core, averaged since the previous call (the first time: since the start). */
  readonly cpuMillis: number;
  readonly memoryBytes: number;
}

export interface DriverEvents {
  /** The container's state may have changed (started, ended, removed): inspect it. */
  onChange(id: string, pod: string): void;
  /** The engine's event stream was interrupted and is back, or stands for the first time: list everything. */
  onResync(): void;
  /** The stream was lost, or could not be opened again: only a call tells whether the engine is gone. */
  onLost?(): void;
}

export interface LogOptions {
  readonly follow: boolean;
  /** Last lines to begin with; undefined = all that is kept. */
  readonly tail?: number;
  /** Only what was written then or later, milliseconds since 1970 by this host's clock. */
  readonly since?: number;
  /** The run before the newest one instead; not with follow. */
  readonly previous?: boolean;
  readonly signal: AbortSignal;
}

/** A program to run in a running container. */
export interface ExecOptions {
  /** The program and its arguments; no shell is between. */
  readonly command: readonly string[];
  /** The size of its terminal; null gives it none. */
  readonly tty: TerminalSize | null;
  /** Whether its input stays open for `write`. */
  readonly stdin: boolean;
  /** Ends the program. */
  readonly signal: AbortSignal;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** A program that runs in a container. */
export interface ExecRun {
  /** Hands over input; resolves when there is room for more. What a program that ended does not read is lost. */
  write(data: Uint8Array): Promise<void>;
  /** Closes its input. */
  endInput(): void;
  /** Tells its terminal the new size; without a terminal it does nothing. Never rejects. */
  resize(size: TerminalSize): Promise<void>;
  /** Its exit code, after all of its output was handed over. Rejects when it was broken off. */
  readonly ended: Promise<number>;
}

/** Takes output; the next piece waits for the promise. */
export type OnExecOutput = (stream: "stdout" | "stderr", data: Uint8Array) => Promise<void>;

/**
 * Errors are SwainErrors: ENGINE_UNREACHABLE (nothing is known, nor what was done), CONTAINER_STUCK (the same, of that
 * container alone: the engine answers), IMAGE_NOT_FOUND, IMAGE_PULL_DENIED,
 * IMAGE_PULL_TIMEOUT, IMAGE_PULL_FAILED, IMAGE_NEVER_PULLED, REGISTRY_UNREACHABLE, DISK_FULL, PORT_TAKEN,
 * COMMAND_NOT_FOUND, MOUNT_FAILED, SANDBOX_REFUSED, GPU_UNAVAILABLE, NO_PREVIOUS_RUN, ENGINE_ERROR. Codes come from status codes and own checks, not from message text
 * (but for DISK_FULL, which no engine tells otherwise).
 */
export interface Driver {
  readonly runtime: "docker" | "process" | "sim";
  /** Name and version of the engine. */
  describe(): Promise<string>;
  /** Makes the container's image present. Does nothing when it is there already, or when the driver has no images. */
  pull(spec: ContainerSpec, onProgress: (text: string) => void, signal: AbortSignal): Promise<void>;
  /** Makes the container without starting it; returns the id of an existing one of the same pod and name. */
  create(spec: ContainerSpec): Promise<string>;
  /** Starts it (again) and tells its ports; one that runs already is left alone. */
  start(id: string): Promise<ContainerInfo>;
  /** Asks it to end, kills it after `graceMs`, and resolves when it has ended; one that is not running or not there is fine. */
  stop(id: string, graceMs: number): Promise<void>;
  /** Removes it, killing it if need be; one that is not there is fine. Named volumes and their data stay. */
  remove(id: string): Promise<void>;
  /** Null when it is not there. */
  inspect(id: string): Promise<ContainerInfo | null>;
  /** Every container of this cluster and node, and no other; of one that the engine cannot describe only name and state. */
  list(): Promise<ContainerInfo[]>;
  /** Events of this cluster's and node's containers, until cancelled; reconnects by itself. No polling where the engine has events. */
  watch(events: DriverEvents): Cancel;
  /** Use of those of the given containers that run. */
  usage(ids: readonly string[]): Promise<Map<string, ContainerUsage>>;
  /**
   * Output so far, and with follow what comes until it ends or the signal aborts. Rejects with NO_PREVIOUS_RUN when one is
   * asked for and there is none.
   */
  logs(id: string, options: LogOptions, onOutput: OnOutput): Promise<void>;
  /**
   * Runs a program beside the container's own, with its environment, user and folder. Rejects with NOT_RUNNING_NOW,
   * EXEC_UNSUPPORTED; `ended` with COMMAND_NOT_FOUND and `details.exitCode` 127 (not there) or 126 (may not be run).
   */
  exec(id: string, options: ExecOptions, onOutput: OnExecOutput): Promise<ExecRun>;
  /** Releases connections and watchers; containers stay as they are. */
  close(): Promise<void>;
}
