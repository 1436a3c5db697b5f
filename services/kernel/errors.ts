// The catalogue of errors a user can meet. Retry and exit code are decided here, by code, and nowhere else.

interface ErrorKind {
  /** What to do, as a sentence. */
  readonly action: string;
  /** Process exit code of the CLI. 1 failed, 2 bad input, 3 not found, 4 cannot reach the cluster, 5 timed out. */
  readonly exit: 1 | 2 | 3 | 4 | 5;
  /** True when the same request may succeed later without a change. */
  readonly retryable: boolean;
}

const kind = (exit: ErrorKind["exit"], retryable: boolean, action: string): ErrorKind => ({ exit, retryable, action });

export const errorKinds = {
  // input
  INVALID_MANIFEST: kind(2, false, "Correct the places named and apply again; nothing was changed."),
  INVALID_REQUEST: kind(2, false, "Correct the request; its schema is in schemas/messages."),
  INVALID_ARGUMENT: kind(2, false, "See --help of this command."),
  APPLY_TOO_LARGE: kind(2, false, "Split the files into several applies of at most 200 KiB each."),
  NOT_FOUND: kind(3, false, "List what is there with `swain get`."),
  // reaching the cluster
  NATS_UNREACHABLE: kind(
    4,
    true,
    "Start a cluster with `swain up`, or name its server with --server, SWAIN_SERVER or a nats context.",
  ),
  NATS_DENIED: kind(
    4,
    false,
    "Use credentials of the role this takes (operator; for agents and proxies theirs): --creds, SWAIN_CREDS or --data.",
  ),
  NO_LEADER: kind(4, true, "Wait for a controller to take the lead, or start one with `swain controller`."),
  TIMEOUT: kind(5, true, "Try again; the outcome of the earlier try is not known."),
  WAIT_TIMEOUT: kind(
    5,
    true,
    "What was asked for is accepted and goes on: look with `swain get` and `swain describe`, or wait longer with --timeout.",
  ),
  // joining a cluster
  SERVER_UNTRUSTED: kind(
    4,
    false,
    "The server's certificate is not the cluster's, or has ended: check the address, take a new token or credentials with their ca.pem, or start `swain up` on the first machine again, which renews it.",
  ),
  JOIN_TOKEN_INVALID: kind(2, false, "Copy the whole line that `swain node join-token` printed."),
  JOIN_TOKEN_REFUSED: kind(
    4,
    false,
    "The token has expired, was used up long ago, or is of another cluster: make one with `swain node join-token`.",
  ),
  JOIN_TOKEN_EXPIRED: kind(1, false, "Make a new one with `swain node join-token`, with a longer --ttl if need be."),
  JOIN_TOKEN_USED: kind(1, false, "Make a new one with `swain node join-token`, with more --uses if need be."),
  NODE_ID_TAKEN: kind(1, false, "Choose another --id, or remove the node that has it with `swain node rm`."),
  JOIN_UNREACHABLE: kind(
    4,
    true,
    "Check that the line was copied whole, that the first machine runs and has that address, and that its firewall lets NATS through (4222).",
  ),
  JOIN_UNAVAILABLE: kind(
    1,
    false,
    "Start the first machine with `swain up --listen ADDR`; on a nats-server of your own, add the user to its configuration.",
  ),
  INSECURE_REFUSED: kind(
    2,
    false,
    "Start the first machine without --insecure and take a new token, or say --insecure here too if the network is safe.",
  ),
  BUSY: kind(1, true, "Wait as long as retryAfterMs says and try again."),
  BUS_CLOSED: kind(4, false, "The connection was closed by this process."),
  PAYLOAD_TOO_LARGE: kind(1, false, "Make the message smaller than the server's max_payload."),
  JETSTREAM_ERROR: kind(1, true, "Look at the server's log; `nats stream info` shows the stream's limits."),
  KV_CONFLICT: kind(1, true, "Read the key again."),
  APPEND_CONFLICT: kind(1, true, "Read the next sequence."),
  SERVER_TOO_OLD: kind(1, false, "Use a newer nats-server."),
  // the log
  LOG_FULL: kind(
    1,
    true,
    "The leader cuts what two snapshots hold; if it stays full, raise the stream's max_bytes with `nats stream edit`.",
  ),
  LOG_UNKNOWN: kind(
    1,
    false,
    "The bus holds another log than the one followed: restore the old one, or confirm the new one. An agent follows that when it is started with an empty data folder.",
  ),
  LOG_NOT_EMPTY: kind(
    1,
    false,
    "Restore into a fresh store; or, if nothing in it is needed, delete the stream with `nats stream rm` and stop all controllers first.",
  ),
  LOG_RESTORING: kind(
    1,
    false,
    "Wait until `swain restore` has ended. Where it was broken off, restore again; if there is anything in the log's stream by then, delete that first with `nats stream rm`. Pods and proxies go on meanwhile.",
  ),
  CONTROLLER_RUNS: kind(1, false, "Stop all controllers of the cluster, then restore; start them afterwards."),
  BACKUP_BROKEN: kind(2, false, "Use another backup, or make this one again; nothing was written."),
  OTHER_CLUSTER: kind(2, false, "Name the right cluster with --cluster, or restore a copy of it with --force."),
  RESTORED: kind(1, false, "Nothing to do: the pod was made after the backup that was restored."),
  LOG_FOREIGN: kind(
    1,
    false,
    "Something other than the leader wrote to the log; it was skipped. Check who may publish to event subjects.",
  ),
  LOG_UNKNOWN_EVENT: kind(1, false, "Update this controller: the log holds an event type it does not know."),
  LOG_CUT: kind(
    1,
    false,
    "Nothing to do: what is before stands in snapshots. Keep backups if you want a longer history.",
  ),
  LOG_INCOMPLETE: kind(
    1,
    false,
    "While a controller leads, `swain state rebuild` has it write down all it knows. Else, with a file of `swain backup` at hand, delete the log stream and bring the cluster back with `swain restore FILE` (with `swain up --restore FILE` where that runs the server); pods and proxies go on meanwhile. To begin anew without one, delete all streams of the cluster: SWAIN_<cluster>_… and KV_swain_<cluster>_….",
  ),
  SNAPSHOT_MISSING: kind(
    1,
    true,
    "Nothing to do while a controller leads: it makes a new one. `swain state rebuild` asks for one now.",
  ),
  SNAPSHOT_FAILED: kind(
    1,
    true,
    "The leader tries again; the log is not cut until then. Read the message, and look at the room of the server.",
  ),
  SNAPSHOT_BROKEN: kind(
    1,
    true,
    "Nothing to do while a controller leads: it makes a new one. `swain state verify` tells what is there, `swain state rebuild` asks for one now.",
  ),
  PLAN_REFUSED: kind(1, false, "This is a defect of Swain: please report the message."),
  PROJECTION_EDITED: kind(1, false, "Change objects through the api or the CLI; the edit was overwritten."),
  PROJECTIONS_LATE: kind(
    1,
    true,
    "Look at the NATS server's disk and log: one that met a full disk writes again only after a restart.",
  ),
  // external endpoints
  EXPIRED: kind(1, true, "The program did not renew its registration in time: check that it runs and reaches the bus."),
  DEREGISTERED: kind(1, false, "Nothing to do."),
  TOO_MANY_ENDPOINTS: kind(
    1,
    true,
    "Deregister endpoints that are not needed, or give some of them a service of their own.",
  ),
  NO_EARLIER_TEMPLATE: kind(3, false, "See the templates still known with `swain rollout history workload/NAME`."),
  // scheduling and pods
  SERVER_SLOW: kind(
    1,
    true,
    "Look at the server's load and at the leader's way to it: until answers come in time, nobody is given up for silence.",
  ),
  NO_NODES: kind(1, true, "Start an agent: `swain agent` or `swain up --nodes N`."),
  UNSCHEDULABLE: kind(1, true, "Read the message: each filter says how many nodes it refused and why."),
  TOO_LARGE_FOR_ANY_NODE: kind(1, true, "Lower the request, or add a larger node."),
  NODE_UNHEARD: kind(1, true, "Check the node and its agent; its pods are replaced after lostAfter."),
  NODE_IN_USE: kind(
    1,
    false,
    "Drain it first (`swain node drain NODE --wait`), or stop its agent; --force removes it all the same.",
  ),
  DRAIN_BLOCKED: kind(
    1,
    true,
    "Make room on another node (add one, lower requests, free the port), or give the pods up: `swain node uncordon` ends the drain.",
  ),
  NODE_ID_DOUBLED: kind(1, true, "Two agents use one node id: stop one of them, or give it another id with --id."),
  PROXY_ID_DOUBLED: kind(1, true, "Two proxies use one id: stop one of them, or give it another id with --id."),
  MASS_LOSS_HELD: kind(
    1,
    true,
    "Many nodes fell silent at once, which is more often the network than the nodes: look there first.",
  ),
  NODE_LOST_HELD: kind(
    1,
    true,
    "Bring the node back; or, when its machine is off for good, give its pods up: `swain node rm NODE`.",
  ),
  FENCED: kind(
    1,
    true,
    "Restore the node's way to the bus and the leader: the pod starts again when a leader answers, or elsewhere when its node stays unheard.",
  ),
  IMAGE_NOT_FOUND: kind(1, true, "Check the image name, or load the image on the node."),
  IMAGE_PULL_FAILED: kind(
    1,
    true,
    "Read the engine's message; the registry answers, but the image could not be fetched whole.",
  ),
  IMAGE_PULL_DENIED: kind(
    1,
    true,
    "Give the node credentials for the registry: `docker login` or `podman login` as the agent's user.",
  ),
  IMAGE_PULL_TIMEOUT: kind(1, true, "The registry is too slow or silent: check the network between it and the node."),
  IMAGE_NEVER_PULLED: kind(1, true, "Load the image on the node, or let it be pulled with another imagePullPolicy."),
  REGISTRY_UNREACHABLE: kind(1, true, "Check the registry's name and port, and the node's way to it."),
  DISK_FULL: kind(1, true, "Make room on the disk of the node's container engine, for one by removing old images."),
  PORT_TAKEN: kind(1, true, "Free the port, or choose another hostPort."),
  COMMAND_NOT_FOUND: kind(1, true, "Check the command: the program is not there or may not be run."),
  MOUNT_FAILED: kind(1, true, "Check that the hostPath exists on the node."),
  SANDBOX_REFUSED: kind(1, true, "Correct the sandbox field the message names, or what it needs on the node."),
  GPU_UNAVAILABLE: kind(
    1,
    true,
    "Install the GPU's driver and the engine's toolkit for it, or choose a node that has them.",
  ),
  NETWORK_POD_MISSING: kind(1, true, "Start a pod of the workload whose network is shared on the same node."),
  ENGINE_UNREACHABLE: kind(1, true, "Start the container engine of the node; nothing is deleted meanwhile."),
  ENGINE_ERROR: kind(1, true, "Read the engine's message."),
  CONTAINER_STUCK: kind(
    1,
    true,
    "Look on the node at what the container waits for, as a volume on a server that is gone; it is tried again by itself.",
  ),
  FIELD_UNSUPPORTED: kind(1, false, "Leave the field out, or run an image on a node with a container engine."),
  ENV_FILE_FAILED: kind(1, true, "Correct the file on the node; a `-` before its name makes it optional."),
  NO_PREVIOUS_RUN: kind(3, false, "It ran only once, or what it printed before is gone: leave out --previous."),
  EXEC_UNSUPPORTED: kind(1, false, "Run it on a node with containers or processes; a terminal needs `script` there."),
  NOT_RUNNING_NOW: kind(1, true, "Wait until the pod runs: `swain get pods`."),
  EXITED: kind(1, true, "Look at the pod's logs: `swain logs pod/NAME`."),
  OOM_KILLED: kind(1, true, "Raise limits.memory, or make the program use less."),
  EXIT_UNOBSERVED: kind(1, true, "The process ended while nobody watched; its exit code is not known."),
  NOT_READY: kind(1, true, "The message says which check failed and how; look at the pod's logs."),
  PROGRESS_DEADLINE: kind(
    1,
    true,
    "The new pod did not become ready in time: look at it with `swain describe pod/NAME`.",
  ),
  PROXY_NOT_ACKED: kind(1, true, "A proxy did not confirm in 10 s that it let go; the pod is stopped all the same."),
  BACKENDS_DOWN: kind(
    1,
    true,
    "Every backend fails the proxy's check, so all are used all the same: look at the service's check and at the pods' logs.",
  ),
  BACKEND_IS_PROXY: kind(
    1,
    false,
    "The endpoint's address is one this proxy itself listens on, so nothing is sent there: register the address of the program instead.",
  ),
  CONNECTIONS_FULL: kind(
    1,
    true,
    "Raise maxConnections or maxConnectionsPerBackend of the service, add replicas, or run another proxy.",
  ),
  // autoscaling
  WORKLOAD_MISSING: kind(1, true, "Apply the workload, or delete the autoscaler."),
  SCALED_TO_ZERO: kind(1, false, "Scale the workload up with `swain scale` to have it autoscaled again."),
  NO_REQUEST: kind(1, false, "Give the workload's containers a request for the resource: use is compared with it."),
  METRICS_MISSING: kind(
    1,
    true,
    "Look at `swain top pods` and at the nodes' agents; without figures nothing is scaled down.",
  ),
  OUTSIDE_BOUNDS: kind(1, false, "Nothing to do."),
  AT_MAXIMUM: kind(1, false, "Raise maxReplicas if the pods cannot keep up."),
  AT_MINIMUM: kind(1, false, "Nothing to do."),
  ABOVE_TARGET: kind(1, false, "Nothing to do."),
  BELOW_TARGET: kind(1, false, "Nothing to do."),
  ON_TARGET: kind(1, false, "Nothing to do."),
  COOLDOWN: kind(1, true, "Nothing to do."),
  STABILISING: kind(1, true, "Nothing to do."),
  // reasons of ordinary steps
  SCALED_DOWN: kind(1, false, "Nothing to do."),
  TEMPLATE_CHANGED: kind(1, false, "Nothing to do."),
  DELETED: kind(1, false, "Nothing to do."),
  STOPPED: kind(1, false, "Nothing to do."),
  COMPLETED: kind(1, false, "Nothing to do."),
  DRAINED: kind(1, false, "Nothing to do."),
  NODE_DRAINED: kind(1, false, "Nothing to do."),
  NODE_REMOVED: kind(1, false, "Nothing to do."),
  // local
  PORT_IN_USE: kind(1, true, "Choose another port, or stop what listens there."),
  CONNECT_FAILED: kind(1, true, "Check that something listens there."),
  CONNECT_TIMEOUT: kind(1, true, "Check the way to that address."),
  LISTEN_FAILED: kind(1, false, "Check that the address belongs to this machine."),
  OUTPUT_FAILED: kind(1, true, "Make room, or write to another place."),
  DISK_ERROR: kind(1, true, "Check free space and rights of the folder."),
  NATS_SERVER_MISSING: kind(1, false, "Install nats-server, or name one with --nats-server or SWAIN_NATS_SERVER."),
  CHECKSUM_MISMATCH: kind(1, false, "The download is not the file it should be; it was thrown away."),
  ALREADY_RUNNING: kind(1, false, "Stop it with `swain down`, or choose another --data."),
  PART_NOT_STARTED: kind(1, true, "Read the reason above; the log file named has more."),
  DEMO_FAILED: kind(1, true, "Read what was shown above; what looks like a defect of Swain, please report."),
  PODS_LEFT: kind(1, true, "Start it again and stop it, or end its containers and processes by hand."),
  NOT_RUNNING: kind(3, false, "Start it with `swain up`."),
  DATA_UNREADABLE: kind(
    4,
    false,
    "Run it as the user who started the cluster, or name the server and credentials of your own: --server and --creds.",
  ),
  // found by `swain doctor`
  NODE_JS_TOO_OLD: kind(1, false, "Use Node.js 20.19 or newer."),
  WRITES_NOT_SYNCED: kind(
    1,
    false,
    "Set `sync_interval: always` in the server's jetstream block (2.10 or newer), or use three replicas: else a power cut may lose the last changes.",
  ),
  ROOM_LOW: kind(
    1,
    false,
    "Raise the limit with `nats stream edit`, or give the server more room, before it is used up.",
  ),
  CLOCK_SKEW: kind(
    1,
    true,
    "Set the clocks by NTP: times in events and logs are wrong until then, but nothing is decided by them.",
  ),
  LIMIT_LOW: kind(
    1,
    false,
    "Raise the limit of open files (`ulimit -n`, LimitNOFILE): each connection takes one or two.",
  ),
  KEYS_EXPOSED: kind(1, false, "Take the rights of others away: chmod -R go= on the folder of keys."),
  CERTIFICATE_ENDS: kind(
    1,
    false,
    "Read why it was not renewed in log/up.log of the data folder, and start `swain up` again: after its end no machine gets in.",
  ),
  INTERNAL: kind(1, false, "This is a defect of Swain: please report the message."),
} as const satisfies Record<string, ErrorKind>;

/** Every code of the catalogue. Reasons of pods, nodes and workloads are the same codes. */
export type Code = keyof typeof errorKinds;

/** An error a user can meet: the code decides what to do about it. */
export class SwainError extends Error {
  readonly code: Code;
  /** More for machines: problems of a manifest, retryAfterMs. Never a secret. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: Code, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "SwainError";
    this.code = code;
    this.details = options.details ?? {};
  }

  get action(): string {
    return errorKinds[this.code].action;
  }

  get retryable(): boolean {
    return errorKinds[this.code].retryable;
  }

  get exit(): number {
    return errorKinds[this.code].exit;
  }
}

/** Any thrown value as a SwainError; what is not one becomes INTERNAL with the value as cause. */
export function asSwainError(error: unknown): SwainError {
  if (error instanceof SwainError) return error;
  return new SwainError("INTERNAL", error instanceof Error ? error.message : String(error), { cause: error });
}

/** True when the text is a code of the catalogue. */
export function isCode(text: string): text is Code {
  return Object.hasOwn(errorKinds, text);
}
