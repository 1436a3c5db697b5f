// Generated from schemas/**/*.schema.json by `npm run generate`. Do not edit.


/**
 * A DNS label: lower-case letters, digits and hyphens, at most 63.
 */
export type Name = string
/**
 * A whole number and a unit: ms, s, m or h.
 */
export type Duration = string
/**
 * A short DNS label: lower-case letters, digits and hyphens, at most 15.
 */
export type PortName = string
/**
 * CPU cores: `2`, `0.5`, or thousandths: `500m`.
 */
export type CpuQuantity = (string | number)
/**
 * Bytes, with a unit: `256Mi`, `1Gi`, `500M`.
 */
export type MemoryQuantity = (string | number)
export type PortNumber = number
/**
 * A host name: labels of letters, digits, hyphens and underscores with dots between.
 */
export type HostName = string
/**
 * A declared port's name, or a port number.
 */
export type PortRef = (string | number)
/**
 * Without `CAP_`: NET_ADMIN; ALL for every one.
 */
export type Capability = string
/**
 * <workload>-<number>, unique in the log for ever.
 */
export type PodName = string
/**
 * @minItems 1
 * @maxItems 16
 */
export type ExternalAddresses = ExternalAddress[]
export type EventItem = (ClusterCreated | ClusterRestored | LeaderElected | NodeRegistered | NodeChanged | NodeManaged | WorkloadApplied | WorkloadScaled | WorkloadHalted | WorkloadChanged | ServiceApplied | ServiceDeleted | EndpointRegistered | EndpointRemoved | AutoscalerApplied | AutoscalerDeleted | AutoscalerScaled | PodPending | PodAssigned | PodReported | PodStopping | PodChanged)
/**
 * The states an agent can see.
 */
export type ObservedState = ("pulling" | "starting" | "running" | "ready" | "backoff" | "stopped" | "failed")
export type PodState = ("pending" | "assigned" | "pulling" | "starting" | "running" | "ready" | "backoff" | "unknown" | "stopping" | "stopped" | "failed" | "lost")

export interface SwainSchemas {
AutoscalerSpec?: AutoscalerSpec
ScaleStep?: ScaleStep
AutoscalerManifest?: AutoscalerManifest
Name?: Name
PortName?: PortName
Labels?: Labels
Duration?: Duration
CpuQuantity?: CpuQuantity
MemoryQuantity?: MemoryQuantity
PortNumber?: PortNumber
Metadata?: Metadata
HostName?: HostName
ServiceSpec?: ServiceSpec
ServicePort?: ServicePort
BackendCheck?: BackendCheck
Ejection?: Ejection
ServiceManifest?: ServiceManifest
WorkloadSpec?: WorkloadSpec
Container?: Container
ProcessSource?: ProcessSource
SimSource?: SimSource
ContainerPort?: ContainerPort
ResourceList?: ResourceList
Resources?: Resources
VolumeMount?: VolumeMount
PodNetwork?: PodNetwork
HostEntry?: HostEntry
PodDns?: PodDns
Readiness?: Readiness
PortRef?: PortRef
Security?: Security
Capability?: Capability
TmpfsMount?: TmpfsMount
Ulimit?: Ulimit
Device?: Device
WorkloadManifest?: WorkloadManifest
Accepted?: Accepted
ApiError?: ApiError
ApplyRequest?: ApplyRequest
AssignReply?: AssignReply
AssignedPod?: AssignedPod
Assign?: Assign
AutoscaleMetric?: AutoscaleMetric
AutoscaleDecision?: AutoscaleDecision
AutoscaleEvaluation?: AutoscaleEvaluation
DeleteRequest?: DeleteRequest
EndpointDeregisterRequest?: EndpointDeregisterRequest
ExternalAddresses?: ExternalAddresses
EndpointRegisterRequest?: EndpointRegisterRequest
EventItem?: EventItem
ClusterCreated?: ClusterCreated
ClusterRestored?: ClusterRestored
LeaderElected?: LeaderElected
NodeRegistered?: NodeRegistered
NodeChanged?: NodeChanged
NodeManaged?: NodeManaged
WorkloadApplied?: WorkloadApplied
WorkloadScaled?: WorkloadScaled
WorkloadHalted?: WorkloadHalted
WorkloadChanged?: WorkloadChanged
ServiceApplied?: ServiceApplied
ServiceDeleted?: ServiceDeleted
EndpointRegistered?: EndpointRegistered
EndpointRemoved?: EndpointRemoved
AutoscalerApplied?: AutoscalerApplied
AutoscalerDeleted?: AutoscalerDeleted
AutoscalerScaled?: AutoscalerScaled
PodPending?: PodPending
PodAssigned?: PodAssigned
PodReported?: PodReported
PodStopping?: PodStopping
PodChanged?: PodChanged
Event?: Event
ExecInput?: ExecInput
ExecOutput?: ExecOutput
ExecRequest?: ExecRequest
Feed?: Feed
Trouble?: Trouble
Heartbeat?: Heartbeat
JoinReply?: JoinReply
JoinRequest?: JoinRequest
JoinTokenReply?: JoinTokenReply
JoinTokenRequest?: JoinTokenRequest
LeaderBeat?: LeaderBeat
LeaseReply?: LeaseReply
LeaseRequest?: LeaseRequest
ListReply?: ListReply
ListRequest?: ListRequest
LogChunk?: LogChunk
LogsCredit?: LogsCredit
LogsRequest?: LogsRequest
NodeFacts?: NodeFacts
Usage?: Usage
NodeMetrics?: NodeMetrics
NodeRequest?: NodeRequest
PodName?: PodName
ObservedState?: ObservedState
PodAddress?: PodAddress
PodObserved?: PodObserved
ContainerObserved?: ContainerObserved
Problem?: Problem
ProxyHeartbeat?: ProxyHeartbeat
ProxyRoute?: ProxyRoute
ProxyBackend?: ProxyBackend
ProxyMetrics?: ProxyMetrics
Report?: Report
RolloutUndoRequest?: RolloutUndoRequest
ScaleRequest?: ScaleRequest
SnapshotChunk?: SnapshotChunk
SnapshotManifest?: SnapshotManifest
Sync?: Sync
TopReply?: TopReply
AutoscalerObject?: AutoscalerObject
DesiredObject?: DesiredObject
EndpointObject?: EndpointObject
Traffic?: Traffic
EndpointsHead?: EndpointsHead
EndpointsShard?: EndpointsShard
NodeObject?: NodeObject
PodObject?: PodObject
ProxyObject?: ProxyObject
ServiceObject?: ServiceObject
SnapshotHeader?: SnapshotHeader
SnapshotNode?: SnapshotNode
SnapshotWorkload?: SnapshotWorkload
SnapshotService?: SnapshotService
SnapshotPod?: SnapshotPod
SnapshotExternal?: SnapshotExternal
SnapshotAutoscaler?: SnapshotAutoscaler
SnapshotOperation?: SnapshotOperation
SnapshotLine?: SnapshotLine
ObjectMeta?: ObjectMeta
PodState?: PodState
TemplateObject?: TemplateObject
WorkloadObject?: WorkloadObject
}
export interface AutoscalerSpec {
workload: Name
minReplicas: number
maxReplicas: number
/**
 * Wanted use of the requested CPU, percent.
 */
cpu?: number
/**
 * Wanted use of the requested memory, percent.
 */
memory?: number
/**
 * No change while use is this near to what is wanted, percent (default 10).
 */
tolerance?: number
cooldown?: Duration
scaleUp?: ScaleStep
scaleDown?: ScaleStep
}
/**
 * How far one change may go: the greater of both.
 */
export interface ScaleStep {
percent?: number
pods?: number
window?: Duration
}
export interface AutoscalerManifest {
apiVersion: "swain/v1"
kind: "Autoscaler"
metadata: Metadata
spec: AutoscalerSpec
}
export interface Metadata {
name: Name
namespace?: Name
labels?: Labels
}
/**
 * Free key/value pairs, at most 64; keys as in Kubernetes, with an optional prefix.
 */
export interface Labels {
/**
 * A label value: letters, digits, hyphens, underscores and dots, at most 63.
 */
[k: string]: string
}
export interface ServiceSpec {
/**
 * Whose pods serve; left out for a service of external endpoints alone.
 */
selector?: {
workload: Name
}
/**
 * @minItems 1
 * @maxItems 16
 */
ports: ServicePort[]
/**
 * Which backend gets a new connection: the next one (round-robin, default), or the one with the fewest open from this proxy (least-connections).
 */
balance?: ("round-robin" | "least-connections")
/**
 * source: clients of one address keep their backend while it serves; balance then has no say.
 */
sticky?: ("none" | "source")
check?: BackendCheck
ejection?: Ejection
/**
 * Tells backends the client's address first, as HAProxy's PROXY protocol does.
 */
proxyProtocol?: ("none" | "v1" | "v2")
/**
 * Open connections to the service per proxy; up to 1,000 more wait, 5 s each, and are refused then.
 */
maxConnections?: number
/**
 * Open connections to one backend per proxy; a full one is passed over, and when all are full clients wait as above.
 */
maxConnectionsPerBackend?: number
}
export interface ServicePort {
name?: PortName
port: PortNumber
/**
 * A port of the pod, by name or by containerPort number.
 */
targetPort: (string | number)
}
export interface BackendCheck {
type: ("tcp" | "http")
/**
 * For http: must begin with `/` and have no spaces (default `/`); 200 to 399 is healthy.
 */
path?: string
interval?: Duration
timeout?: Duration
/**
 * Successes in a row until it serves again (default 2).
 */
rise?: number
/**
 * Failures in a row until it does not (default 3).
 */
fall?: number
}
export interface Ejection {
/**
 * Connects failed in a row (default 3).
 */
failures?: number
for?: Duration
}
export interface ServiceManifest {
apiVersion: "swain/v1"
kind: "Service"
metadata: Metadata
spec: ServiceSpec
}
export interface WorkloadSpec {
/**
 * How many pods; left out, the current count stays (1 for a new workload).
 */
replicas?: number
placement?: ("spread" | "binpack")
nodeSelector?: Labels
restartPolicy?: ("Always" | "OnFailure" | "Never")
lostAfter?: Duration
/**
 * What becomes of the pods of a node that stays unheard: replace (the default) makes new ones elsewhere, hold waits for the node until an operator removes it.
 */
onNodeLost?: ("replace" | "hold")
/**
 * The agent stops the pod itself when no leader answers it for lostAfter, and the pod is replaced only after that, so that two never run.
 */
fence?: boolean
stopGracePeriod?: Duration
drainTimeout?: Duration
progressDeadline?: Duration
/**
 * @minItems 1
 * @maxItems 16
 */
containers: Container[]
network?: PodNetwork
/**
 * Lines added to /etc/hosts.
 * 
 * @maxItems 256
 */
hosts?: HostEntry[]
dns?: PodDns
}
export interface Container {
name: Name
/**
 * An image reference, for nodes with a container engine.
 */
image?: string
process?: ProcessSource
sim?: SimSource
/**
 * Replaces the image's entry point.
 * 
 * @minItems 1
 * @maxItems 256
 */
command?: string[]
/**
 * Replaces the image's arguments.
 * 
 * @maxItems 256
 */
args?: string[]
/**
 * @maxItems 512
 */
env?: EnvVar[]
/**
 * @maxItems 64
 */
ports?: ContainerPort[]
resources?: Resources
/**
 * @maxItems 64
 */
volumes?: VolumeMount[]
/**
 * Missing (the default) asks the registry only when the node has no such image, Always before each time the container is made, Never not at all.
 */
imagePullPolicy?: ("Always" | "Missing" | "Never")
readiness?: Readiness
security?: Security
/**
 * Folders in memory, empty at each start.
 * 
 * @maxItems 64
 */
tmpfs?: TmpfsMount[]
/**
 * @maxItems 16
 */
ulimits?: Ulimit[]
/**
 * @maxItems 64
 */
devices?: Device[]
/**
 * `all`, or how many.
 */
gpus?: (string | number)
shmSize?: MemoryQuantity
}
/**
 * A program of the node itself, for nodes with the process driver.
 */
export interface ProcessSource {
/**
 * @minItems 1
 * @maxItems 256
 */
command: string[]
/**
 * Absolute, or relative to the manifest's folder (the default).
 */
workingDir?: string
/**
 * Files of NAME=value lines on the node, absolute or relative like workingDir; a missing one fails the start, unless its name begins with `-`.
 * 
 * @maxItems 16
 * 
 * Items: A path without a NUL, at most 4096 long.
 */
envFiles?: string[]
}
/**
 * How a simulated container behaves, for nodes with the sim driver; every field asks for a fault or a delay.
 */
export interface SimSource {
pullDelay?: Duration
startDelay?: Duration
readyDelay?: Duration
failPull?: boolean
failStart?: boolean
neverReady?: boolean
exitAfter?: Duration
exitCode?: number
ignoreStop?: boolean
cpu?: CpuQuantity
memory?: MemoryQuantity
}
export interface EnvVar {
/**
 * Letters, digits and underscores, not beginning with a digit.
 */
name: string
value: string
}
export interface ContainerPort {
name: PortName
containerPort?: PortNumber
hostPort?: PortNumber
protocol?: "tcp"
}
export interface Resources {
requests?: ResourceList
limits?: ResourceList
/**
 * Processes and threads at most.
 */
pids?: number
/**
 * Weight against others when CPU is short (the engine's default is 1024).
 */
cpuShares?: number
/**
 * Only these CPUs: `0-2,5`.
 */
cpuSet?: string
}
export interface ResourceList {
cpu?: CpuQuantity
memory?: MemoryQuantity
}
/**
 * A folder of the node (hostPath) or a volume of the engine (name).
 */
export interface VolumeMount {
name?: Name
/**
 * An absolute path on the node.
 */
hostPath?: string
/**
 * An absolute path in the container, without a colon.
 */
mountPath: string
readOnly?: boolean
}
/**
 * One check, http or tcp.
 */
export interface Readiness {
http?: HttpCheck
tcp?: TcpCheck
initialDelay?: Duration
interval?: Duration
timeout?: Duration
/**
 * In a row until ready (default 1).
 */
successes?: number
/**
 * In a row until not ready any more (default 3).
 */
failures?: number
}
export interface HttpCheck {
port: PortRef
/**
 * Must begin with `/` and have no spaces (default `/`).
 */
path?: string
host?: HostName
}
export interface TcpCheck {
port: PortRef
}
/**
 * What the container's programs may do.
 */
export interface Security {
/**
 * Name or number, with `:group` if wanted.
 */
user?: (string | number)
/**
 * More groups of its user.
 * 
 * @maxItems 64
 * 
 * Items: A group by name or number.
 */
groups?: (string | number)[]
capabilities?: Capabilities
/**
 * `default` (the engine's profile), `unconfined`, or the absolute path of a profile on the node.
 */
seccomp?: string
noNewPrivileges?: boolean
/**
 * The container's own file system cannot be written.
 */
readOnlyRoot?: boolean
/**
 * All rights of the node's root.
 */
privileged?: boolean
}
export interface Capabilities {
/**
 * @maxItems 64
 */
add?: Capability[]
/**
 * @maxItems 64
 */
drop?: Capability[]
}
export interface TmpfsMount {
/**
 * An absolute path in the container, without a colon.
 */
mountPath: string
size?: MemoryQuantity
}
export interface Ulimit {
name: ("core" | "cpu" | "data" | "fsize" | "locks" | "memlock" | "msgqueue" | "nice" | "nofile" | "nproc" | "rss" | "rtprio" | "rttime" | "sigpending" | "stack")
/**
 * -1 for none.
 */
soft: number
/**
 * Default: as soft; -1 for none.
 */
hard?: number
}
export interface Device {
/**
 * An absolute path on the node.
 */
hostPath: string
/**
 * Default: the same.
 */
containerPath?: string
/**
 * Read, write, mknod (default rwm).
 */
permissions?: string
}
export interface PodNetwork {
/**
 * bridge: an address of its own. host: the node's network. none: loopback alone. pod: the network of a pod of another workload on the same node.
 */
mode: ("bridge" | "host" | "none" | "pod")
workload?: Name
}
export interface HostEntry {
/**
 * An IPv4 or IPv6 address.
 */
ip: string
/**
 * @minItems 1
 * @maxItems 32
 */
names: HostName[]
}
export interface PodDns {
/**
 * @maxItems 3
 * 
 * Items: An IPv4 or IPv6 address.
 */
servers?: string[]
/**
 * @maxItems 32
 */
searches?: HostName[]
/**
 * As in resolv.conf: `ndots:2`.
 * 
 * @maxItems 16
 * 
 * Items: An option as in resolv.conf: `ndots:2`.
 */
options?: string[]
}
export interface WorkloadManifest {
apiVersion: "swain/v1"
kind: "Workload"
metadata: Metadata
spec: WorkloadSpec
}
/**
 * The answer to a change: it is in the log at this sequence.
 */
export interface Accepted {
epoch: number
sequence: number
results: ChangeResult[]
[k: string]: unknown
}
export interface ChangeResult {
kind: string
namespace: string
name: string
action: ("created" | "configured" | "unchanged" | "scaled" | "deleted" | "cordoned" | "uncordoned" | "draining" | "removed" | "undone")
/**
 * Something the asker should know about it.
 */
note?: string
}
/**
 * Any refused request; the code is also in the header Nats-Service-Error-Code.
 */
export interface ApiError {
error: ErrorBody
[k: string]: unknown
}
export interface ErrorBody {
code: string
/**
 * What happened.
 */
message: string
/**
 * What to do.
 */
action: string
retryAfterMs?: number
problems?: Problem[]
[k: string]: unknown
}
/**
 * One thing wrong with a manifest.
 */
export interface Problem {
/**
 * Index of the document.
 */
document: number
/**
 * JSON pointer to the place.
 */
path: string
code: string
message: string
/**
 * The offending value.
 */
value?: unknown
[k: string]: unknown
}
/**
 * api._.manifest.apply: all documents are applied, or none.
 */
export interface ApplyRequest {
/**
 * Made by the client; a repeated request with it changes nothing more.
 */
operation: string
dryRun?: boolean
/**
 * @minItems 1
 * @maxItems 1000
 */
documents: {

}[]
[k: string]: unknown
}
/**
 * held: the generation the agent holds now. When it is not the one sent, the agent pulls with sync.
 */
export interface AssignReply {
logId: string
held: number
[k: string]: unknown
}
export interface AssignedPod {
namespace: Name
name: PodName
workload: Name
slot: number
/**
 * Id of the event that set its template, where that is known. A pod never changes it; one that bears the name of another with another template is another pod, and the log has lost the first.
 */
templateId?: string
/**
 * Sequence of the event that last changed this item.
 */
generation: number
desired: ("run" | "stop")
/**
 * It ran to its end, or failed for good: a node that knows nothing of that, because it was set up anew, does not run it again.
 */
ended?: boolean
restartPolicy: ("Always" | "OnFailure" | "Never")
stopGraceMs: number
fence?: PodFence
labels?: Labels
network?: PodNetwork
/**
 * Lines added to /etc/hosts.
 * 
 * @maxItems 256
 */
hosts?: HostEntry[]
dns?: PodDns
/**
 * @minItems 1
 * @maxItems 16
 */
containers: Container[]
[k: string]: unknown
}
/**
 * The pod may run only while leaders answer this node's lease requests.
 */
export interface PodFence {
/**
 * The agent begins to stop it this long after it sent the last request a leader granted.
 */
leaseMs: number
[k: string]: unknown
}
/**
 * What one node should run: the difference from generation `base`, or everything when base is 0. Sent on node.<id>.cmd.assign; also the answer to node.<id>.sync, in pages.
 */
export interface Assign {
clusterUid: string
logId: string
/**
 * Logs this one was restored from: an agent that followed one of them follows this one.
 * 
 * @maxItems 8
 */
parents?: string[]
epoch: number
/**
 * Names the leader's term, new with each: two have the same epoch where the log lost an election.
 */
term?: string
/**
 * Sequence of the last event that changed this node's assignment.
 */
generation: number
base: number
/**
 * @maxItems 1000
 */
items: AssignedPod[]
/**
 * Pods to forget, as namespace/name.
 */
gone: string[]
/**
 * The agent says every state anew: another one spoke for its node meanwhile.
 */
resend?: boolean
/**
 * In a page of an answer to sync: ask again with after = this. Absent on the last page.
 */
next?: string
[k: string]: unknown
}
/**
 * What was seen of one metric of a workload, and how many pods it asks for.
 */
export interface AutoscaleMetric {
resource: ("cpu" | "memory")
/**
 * Wanted use of the request, percent.
 */
target: number
/**
 * Of the measured pods together: thousandths of a core, or bytes.
 */
use: number
/**
 * Of the same pods, in the same unit.
 */
request: number
/**
 * use of request; absent when there is nothing to compute it from.
 */
percent?: number
/**
 * Ready pods with fresh figures.
 */
pods: number
/**
 * Ready pods without fresh figures.
 */
missing: number
/**
 * Replicas that are not ready, or not for long enough.
 */
notReady: number
/**
 * Replicas this metric asks for; absent when it cannot tell.
 */
recommended?: number
/**
 * Why it cannot tell; else empty.
 */
reason: string
}
/**
 * One change of a workload's replicas by its Autoscaler.
 */
export interface AutoscaleDecision {
time: number
sequence: number
from: number
replicas: number
reason: string
message: string
/**
 * @maxItems 2
 */
metrics: AutoscaleMetric[]
}
/**
 * What an Autoscaler sees now, and what it makes of it.
 */
export interface AutoscaleEvaluation {
/**
 * Of the workload; absent when there is none.
 */
replicas?: number
/**
 * What the metrics ask for, within the bounds.
 */
recommended?: number
/**
 * What would be done now.
 */
desired?: number
reason: string
message: string
/**
 * Milliseconds since 1970; absent when no cooldown runs.
 */
cooldownUntil?: number
/**
 * @maxItems 2
 */
metrics: AutoscaleMetric[]
}
/**
 * api.<ns>.<workload, service or autoscaler>.delete
 */
export interface DeleteRequest {
operation: string
name: Name
[k: string]: unknown
}
/**
 * api.<ns>.endpoint.deregister
 */
export interface EndpointDeregisterRequest {
service: Name
name: Name
[k: string]: unknown
}
export interface ExternalAddress {
name: PortName
/**
 * An IP address, or a host name that every proxy can look up.
 */
host: string
port: PortNumber
}
/**
 * api.<ns>.endpoint.register: a program that no node runs serves a service. Sent again before the ttl is over it renews; it needs no operation id, because saying it twice changes nothing.
 */
export interface EndpointRegisterRequest {
service: Name
name: Name
addresses: ExternalAddresses
ttl: Duration
[k: string]: unknown
}
export interface ClusterCreated {
kind: "cluster"
verb: "created"
/**
 * The cluster's uid; container labels carry it.
 */
name: string
}
/**
 * Begins a new log after the records of a backup. Beside it in the event is an election, whose epoch is the event's own sequence.
 */
export interface ClusterRestored {
kind: "cluster"
verb: "restored"
/**
 * The cluster's uid from here on: another one where the log was restored under another name, as a copy.
 */
name: string
/**
 * Id of the log that was restored.
 */
parent: string
/**
 * Its last sequence in the backup.
 */
sequence: number
message: string
}
export interface LeaderElected {
kind: "leader"
verb: "elected"
/**
 * The controller's id.
 */
name: string
}
export interface NodeRegistered {
kind: "node"
verb: "registered"
name: Name
facts: NodeFacts
}
/**
 * What an agent found out about its node.
 */
export interface NodeFacts {
hostname: string
/**
 * Equal for agents and proxies that share one machine and network namespace.
 */
host: string
/**
 * The address other nodes reach.
 */
advertise: string
runtime: ("docker" | "process" | "sim")
/**
 * Name and version of the engine behind the driver.
 */
engine: string
capacity: Capacity
/**
 * The limits the process driver can hold here, by control groups of the kernel.
 * 
 * @maxItems 3
 */
processLimits?: ("memory" | "cpu" | "pids")[]
/**
 * True when the agent stops fenced pods itself while no leader answers.
 */
fencing?: boolean
labels: Labels
version: string
arch: string
os: string
}
export interface Capacity {
cpuMillis: number
memoryBytes: number
pods: number
}
/**
 * unknown: not heard in time, held while a mass loss is waited out, or its agent follows another log. ready: heard; with a reason, why it cannot start pods all the same.
 */
export interface NodeChanged {
kind: "node"
verb: ("unknown" | "ready")
name: Name
reason?: string
message?: string
}
/**
 * cordoned: takes no new pods, keeps those it has. draining: they move away, too; with a reason, why some cannot. uncordoned: takes pods again. removed: forgotten, and its pods with it.
 */
export interface NodeManaged {
kind: "node"
verb: ("cordoned" | "draining" | "uncordoned" | "removed")
name: Name
reason: string
message: string
}
export interface WorkloadApplied {
kind: "workload"
verb: "applied"
namespace: Name
name: Name
labels: Labels
spec: WorkloadSpec
}
export interface WorkloadScaled {
kind: "workload"
verb: "scaled"
namespace: Name
name: Name
replicas: number
}
/**
 * A template change stopped because a new pod did not become ready.
 */
export interface WorkloadHalted {
kind: "workload"
verb: "halted"
namespace: Name
name: Name
reason: string
message: string
}
/**
 * deleted: asked for; its pods stop. removed: the last pod is gone.
 */
export interface WorkloadChanged {
kind: "workload"
verb: ("deleted" | "removed")
namespace: Name
name: Name
}
export interface ServiceApplied {
kind: "service"
verb: "applied"
namespace: Name
name: Name
labels: Labels
spec: ServiceSpec
}
export interface ServiceDeleted {
kind: "service"
verb: "deleted"
namespace: Name
name: Name
}
/**
 * A program that no node runs serves a service, or serves it at other addresses than before.
 */
export interface EndpointRegistered {
kind: "endpoint"
verb: "registered"
namespace: Name
name: Name
service: Name
addresses: ExternalAddresses
/**
 * Without a renewal for this long it is removed.
 */
ttlMs: number
}
/**
 * EXPIRED: not renewed in time. DEREGISTERED: by its own wish. DELETED: its service was deleted.
 */
export interface EndpointRemoved {
kind: "endpoint"
verb: "removed"
namespace: Name
name: Name
service: Name
reason: string
message: string
}
export interface AutoscalerApplied {
kind: "autoscaler"
verb: "applied"
namespace: Name
name: Name
labels: Labels
spec: AutoscalerSpec
}
export interface AutoscalerDeleted {
kind: "autoscaler"
verb: "deleted"
namespace: Name
name: Name
}
/**
 * Why the workload.scaled item beside it in the same event was decided.
 */
export interface AutoscalerScaled {
kind: "autoscaler"
verb: "scaled"
namespace: Name
name: Name
workload: Name
from: number
replicas: number
reason: string
message: string
/**
 * @maxItems 2
 */
metrics: AutoscaleMetric[]
}
/**
 * A pod that has a slot but no node, and why. Makes the pod when it is new.
 */
export interface PodPending {
kind: "pod"
verb: "pending"
namespace: Name
name: PodName
workload: Name
slot: number
template: number
reason: string
message: string
}
/**
 * A pod is placed on a node. Makes the pod when it is new.
 */
export interface PodAssigned {
kind: "pod"
verb: "assigned"
namespace: Name
name: PodName
workload: Name
slot: number
/**
 * Sequence of the event that set the pod template.
 */
template: number
node: Name
}
/**
 * What the agent saw; the verb is the pod's state.
 */
export interface PodReported {
kind: "pod"
verb: ObservedState
namespace: Name
name: PodName
observed: PodObserved
}
export interface PodObserved {
reason: string
/**
 * Cut at 1000 signs.
 */
message: string
/**
 * Starts after the first one.
 */
restarts: number
/**
 * Of the container that ended last.
 */
exitCode?: number
/**
 * @maxItems 1024
 */
addresses?: PodAddress[]
/**
 * @maxItems 16
 */
containers?: ContainerObserved[]
}
/**
 * Where one declared port answers.
 */
export interface PodAddress {
name: PortName
containerPort?: PortNumber
/**
 * The address other nodes reach: the agent's --advertise, or that of the agent that made the container.
 */
host: string
hostPort: PortNumber
/**
 * The container's own address, reachable from the same host only.
 */
local?: string
localPort?: PortNumber
}
export interface ContainerObserved {
name: Name
/**
 * The engine's id of the container, or the process id.
 */
id: string
}
/**
 * The pod leaves the endpoints. With drain, the node is told to stop it once the proxies have let go (drained).
 */
export interface PodStopping {
kind: "pod"
verb: "stopping"
namespace: Name
name: PodName
drain: boolean
reason: string
message: string
}
/**
 * drained: proxies let go, the node may stop it. lost: its node is unheard for too long; possibly still running. held: the same, but its workload waits for the node. removed: gone from the node, or never was on one.
 */
export interface PodChanged {
kind: "pod"
verb: ("drained" | "lost" | "held" | "removed")
namespace: Name
name: PodName
reason: string
message: string
}
/**
 * One decision of the leader, as it is stored in the log.
 */
export interface Event {
schema: 1
logId: string
/**
 * Sequence of the leader.elected event of the term this was written in.
 */
epoch: number
id: string
/**
 * Id of the event before this one; empty for the first.
 */
prev: string
/**
 * Milliseconds since 1970 by the leader's clock of this term.
 */
time: number
/**
 * What made the leader decide: api, report, liveness, reconcile, rollout, drain, autoscale, election.
 */
cause: string
/**
 * The client's operation id, when a request caused it.
 */
operation?: string
/**
 * @minItems 1
 * @maxItems 1000
 */
items: EventItem[]
[k: string]: unknown
}
/**
 * From the client on node.<id>.exec.<session>.in. Unheard for 30 s, the session ends and its program with it; an empty message is a sign of life.
 */
export interface ExecInput {
/**
 * Of a message with data or eof: 1, 2, 3 … within the session. A gap is lost input and ends the session. At most 32 may be under way that the agent has not said it took.
 */
sequence?: number
/**
 * Bytes by base64, at most 16 KiB of them.
 */
data?: string
/**
 * Nothing more comes: the program's input is closed.
 */
eof?: boolean
/**
 * The client took so many more pieces of output.
 */
credit?: number
columns?: number
rows?: number
/**
 * The client leaves: the program is ended.
 */
close?: boolean
[k: string]: unknown
}
/**
 * From the agent on node.<id>.exec.<session>.out. With neither data nor end it only grants input.
 */
export interface ExecOutput {
/**
 * 1, 2, 3 … within the session: a gap is lost output.
 */
sequence: number
stream?: ("stdout" | "stderr")
/**
 * Bytes by base64.
 */
data?: string
/**
 * The program took so many more pieces of input.
 */
taken?: number
end?: boolean
/**
 * With end: the program's exit code, 128 + signal when one ended it; beside a code what a shell would exit with.
 */
exitCode?: number
/**
 * With end: why the program did not run to its end, a code of the catalogue.
 */
code?: string
/**
 * With code: what happened, as a sentence.
 */
error?: string
[k: string]: unknown
}
/**
 * api.<ns>.pod.exec, passed on to node.<id>.cmd.exec: run a program in a container. What it prints comes on node.<id>.exec.<session>.out, what it reads goes to node.<id>.exec.<session>.in.
 */
export interface ExecRequest {
/**
 * Made by the client.
 */
session: string
/**
 * The pod.
 */
name: string
/**
 * Set by the leader, from the subject.
 */
namespace?: string
/**
 * Set by the leader: its term. An agent refuses an older one than it knows.
 */
epoch?: number
/**
 * Default: the first.
 */
container?: string
/**
 * The program and its arguments; no shell is between.
 * 
 * @minItems 1
 * @maxItems 256
 */
command: string[]
/**
 * Give it a terminal. Its two output streams are then one.
 */
tty?: boolean
/**
 * Its input stays open for what the client sends.
 */
stdin?: boolean
columns?: number
rows?: number
/**
 * Pieces of output the agent may send before the client grants more.
 */
credit?: number
[k: string]: unknown
}
/**
 * One item of an acknowledged event as a CloudEvent on feed.<ns or _>.<kind>.<name>.<verb>.
 */
export interface Feed {
specversion: "1.0"
/**
 * <log id>.<epoch>.<sequence>.<index>: a log that lost its end gives sequences again, but in a later epoch.
 */
id: string
/**
 * swain/<cluster>
 */
source: string
/**
 * swain.<kind>.<verb>
 */
type: string
/**
 * <namespace or _>/<kind>/<name>
 */
subject: string
time: string
datacontenttype: "application/json"
sequence: number
index: number
cause?: string
operation?: string
data: {

}
[k: string]: unknown
}
/**
 * Why the node cannot start pods now; left out while it can.
 */
export interface Trouble {
/**
 * A reason code.
 */
reason: string
/**
 * Cut at 500 signs.
 */
message: string
[k: string]: unknown
}
/**
 * An agent's sign of life on node.<id>.heartbeat, each second; at most 64 KiB.
 */
export interface Heartbeat {
/**
 * New at each start of the agent.
 */
bootId: string
/**
 * The log the agent follows; empty when it follows none yet.
 */
logId: string
/**
 * The assignment it holds.
 */
generation: number
/**
 * Of the leader that told it.
 */
epoch?: number
/**
 * Of that leader, as it named its term.
 */
term?: string
/**
 * Sequence of its last acknowledged report.
 */
reported?: number
/**
 * The sender's clock, milliseconds since 1970. For `swain doctor` alone: no clocks are compared to decide anything.
 */
time?: number
trouble?: Trouble
facts: NodeFacts
[k: string]: unknown
}
/**
 * The server knows the key from now on.
 */
export interface JoinReply {
cluster: string
/**
 * What the machine will run.
 */
kind: ("agent" | "proxy")
id: string
[k: string]: unknown
}
/**
 * Asks on join.ask.<token> to become a part of the cluster.
 */
export interface JoinRequest {
/**
 * What the machine will run.
 */
kind: ("agent" | "proxy")
/**
 * Wanted id of the node or proxy.
 */
id: string
/**
 * Public half of an nkey of a user; its seed never leaves the machine that made it.
 */
publicKey: string
[k: string]: unknown
}
/**
 * What a token holds beside its key.
 */
export interface JoinTokenReply {
id: string
/**
 * Where other machines reach the cluster: tls://host:port, or nats://host:port without TLS.
 * 
 * @minItems 1
 */
servers: string[]
/**
 * Certificate of the cluster's authority, PEM; null without TLS.
 */
ca: (string | null)
/**
 * Milliseconds since 1970 by the clock of the machine that keeps the users.
 */
expires: number
[k: string]: unknown
}
/**
 * Asks on join.token for a token; the key inside it is made by the asker.
 */
export interface JoinTokenRequest {
/**
 * What the machine will run.
 */
kind: ("agent" | "proxy")
/**
 * Public half of an nkey of a user; its seed never leaves the machine that made it.
 */
publicKey: string
/**
 * How long it may be used, milliseconds.
 */
ttlMs: number
/**
 * How many machines may come with it.
 */
uses: number
[k: string]: unknown
}
/**
 * The leader's beat on `leader`, each 500 ms.
 */
export interface LeaderBeat {
logId: string
epoch: number
sequence: number
leader: string
/**
 * The sender's clock, milliseconds since 1970. For `swain doctor` alone: no clocks are compared to decide anything.
 */
time?: number
/**
 * True in the last beat of a leader that was told to stop.
 */
resigned?: boolean
[k: string]: unknown
}
/**
 * Granted: the log was read after the request came, and nobody else leads. It counts only for an agent that was told this generation of its assignment or a later one, and for pods that are to run in that.
 */
export interface LeaseReply {
logId: string
epoch: number
/**
 * Of the node's assignment.
 */
generation: number
/**
 * The epoch asked with, where the log does not know it any more, or not what was told in it: its end is lost, and with it what the agent holds.
 */
lost?: number
[k: string]: unknown
}
/**
 * An agent that has fenced pods asks on node.<id>.lease, each second, whether a leader counts it as heard; one that was told something by an earlier leader asks once. The lease runs from the moment the request was sent.
 */
export interface LeaseRequest {
bootId: string
/**
 * The log the agent follows.
 */
logId: string
/**
 * Of the newest leader it followed.
 */
epoch?: number
/**
 * Of that leader, as it named its term.
 */
term?: string
/**
 * The assignment it was told last.
 */
generation?: number
[k: string]: unknown
}
/**
 * Objects as they are in KV, oldest name first.
 */
export interface ListReply {
epoch: number
sequence: number
items: {
[k: string]: unknown
}[]
next?: string
/**
 * Of event.list: earlier events, up to that sequence, were cut from the log.
 */
cut?: number
[k: string]: unknown
}
/**
 * api.<ns or _>.<resource>.list and .get:  lists all namespaces. Pages are cut by size.
 */
export interface ListRequest {
/**
 * For get: the object.
 */
name?: string
/**
 * The `next` of the page before.
 */
after?: string
limit?: number
/**
 * Answer only from a state at least this new.
 */
minSeq?: number
[k: string]: unknown
}
/**
 * Output of a container on node.<id>.log.<pod>.
 */
export interface LogChunk {
session: string
/**
 * 1, 2, 3 … within the session: a gap is lost output.
 */
sequence: number
container?: string
stream?: ("stdout" | "stderr")
text?: string
/**
 * When each line of the text was written, milliseconds since 1970 by the node's clock: one number for each piece that ends with a line feed, and one for what follows the last of them. A piece that goes on with a line of an earlier chunk has that line's time.
 */
times?: number[]
end?: boolean
/**
 * With end: why it ended early, a code of the catalogue.
 */
code?: string
/**
 * With code: what happened, as a sentence.
 */
error?: string
[k: string]: unknown
}
/**
 * node.<id>.cmd.logs-credit: the client took this many chunks. Unheard for 30 s, the session ends; who names the pod is told that it has ended.
 */
export interface LogsCredit {
session: string
credit: number
/**
 * Whose output the session sends.
 */
pod?: string
[k: string]: unknown
}
/**
 * api.<ns>.pod.logs, passed on to node.<id>.cmd.logs. Chunks come on node.<id>.log.<pod> with this session.
 */
export interface LogsRequest {
/**
 * Made by the client.
 */
session: string
/**
 * The pod.
 */
name: string
/**
 * Set by the leader, from the subject.
 */
namespace?: string
container?: string
follow?: boolean
tail?: number
/**
 * Only output at most so old, by the node's clock.
 */
sinceMs?: number
/**
 * Only output from this time on, milliseconds since 1970. The later one counts when both are given.
 */
sinceTime?: number
/**
 * The run before the newest one instead; it does not go with follow.
 */
previous?: boolean
/**
 * Chunks the agent may send before the client grants more.
 */
credit?: number
[k: string]: unknown
}
export interface Usage {
cpuMillis: number
memoryBytes: number
[k: string]: unknown
}
/**
 * Use of a node and its pods on node.<id>.metrics, every 5 s.
 */
export interface NodeMetrics {
time: number
node: Usage
/**
 * @maxItems 1000
 */
pods: PodUsage[]
[k: string]: unknown
}
export interface PodUsage {
namespace: string
name: string
cpuMillis: number
memoryBytes: number
[k: string]: unknown
}
/**
 * api._.node.cordon, .uncordon, .drain and .remove
 */
export interface NodeRequest {
operation: string
name: Name
/**
 * For remove: also a node that is heard and has pods. They are forgotten, and new ones are made elsewhere.
 */
force?: boolean
[k: string]: unknown
}
/**
 * A proxy's sign of life on proxy.<id>.heartbeat, each second and at once when it applied a change.
 */
export interface ProxyHeartbeat {
/**
 * Per service (namespace/name) it serves: per endpoints key part (head, 0, 1 …) the sequence it has applied; 0 = not loaded yet.
 */
services: {
[k: string]: {
[k: string]: number
}
}
/**
 * Open connections per pod (namespace/name) that is no endpoint any more.
 */
open: {
[k: string]: number
}
/**
 * New with each start of the proxy, so that two of one id are not taken for one.
 */
bootId?: string
/**
 * Counts the heartbeats of a running proxy, so that a lost one is noticed.
 */
number?: number
/**
 * services names only those that changed since the heartbeat before. A whole one follows within 3 s.
 */
partial?: boolean
/**
 * With partial: services it serves no more.
 */
dropped?: string[]
/**
 * The last one: the proxy ends.
 */
leaving?: boolean
[k: string]: unknown
}
/**
 * One port of a service at one address. open, total, failed, refused and waiting are of the whole service.
 */
export interface ProxyRoute {
/**
 * namespace/name
 */
service: string
/**
 * The service's port, when one was chosen.
 */
port?: string
/**
 * host:port; left out while it cannot listen.
 */
listen?: string
/**
 * Why it does not listen: a code.
 */
reason?: string
/**
 * Open connections.
 */
open: number
/**
 * Connections taken.
 */
total: number
/**
 * Closed because no backend took them.
 */
failed: number
/**
 * Closed because there was no room in time (CONNECTIONS_FULL).
 */
refused: number
/**
 * Clients that wait for room.
 */
waiting: number
backends: ProxyBackend[]
[k: string]: unknown
}
export interface ProxyBackend {
/**
 * namespace/name
 */
pod: string
/**
 * host:port it is reached at.
 */
address: string
/**
 * up, checking (no result yet), down (fails its check, or has a reason), ejected (left out after failed connects) or draining (no endpoint any more).
 */
state: string
open: number
total: number
/**
 * Connects that failed.
 */
failed: number
/**
 * Sent by clients.
 */
bytesIn: number
/**
 * Sent to clients.
 */
bytesOut: number
/**
 * Why it is down, where that is not its check: a code.
 */
reason?: string
/**
 * Why the last check failed.
 */
message?: string
[k: string]: unknown
}
/**
 * What a proxy serves and how much, on proxy.<id>.metrics, every 5 s and soon after a listener or a backend changed. Counts begin with the proxy's start.
 */
export interface ProxyMetrics {
time: number
/**
 * @maxItems 1000
 */
routes: ProxyRoute[]
/**
 * It serves every service there is, each at its own ports.
 */
all?: boolean
/**
 * Routes and backends left out, for size.
 */
omitted?: number
[k: string]: unknown
}
/**
 * Pods that changed, on node.<id>.report; one in flight per agent, answered after the append.
 */
export interface Report {
bootId: string
/**
 * Counts up within a boot; the leader refuses an older one.
 */
sequence: number
logId: string
/**
 * @maxItems 500
 */
pods: PodReport[]
[k: string]: unknown
}
export interface PodReport {
namespace: Name
name: PodName
/**
 * As it was assigned.
 */
templateId?: string
state: ObservedState
observed: PodObserved
[k: string]: unknown
}
/**
 * api.<ns>.workload.undo: applies an earlier template of the workload. Its count and its other rules stay.
 */
export interface RolloutUndoRequest {
operation: string
name: Name
/**
 * The generation of a template of workload.history; left out for the one before the current.
 */
to?: number
[k: string]: unknown
}
/**
 * api.<ns>.workload.scale
 */
export interface ScaleRequest {
operation: string
name: Name
replicas: number
[k: string]: unknown
}
export interface SnapshotChunk {
bytes: number
sha256: string
[k: string]: unknown
}
/**
 * Closes a snapshot in its stream: what it is of, and the hash of each chunk before it. Without it there is no snapshot.
 */
export interface SnapshotManifest {
/**
 * Of this manifest and of how the chunks are packed: gzip, each by itself.
 */
format: 1
logId: string
clusterUid: string
epoch: number
/**
 * Last sequence of the log that is folded in.
 */
sequence: number
accepted: number
lastEventId: string
/**
 * Of the lines, unpacked.
 */
bytes: number
/**
 * Sequence of the first chunk in the snapshots' own stream; the others follow it without a gap.
 */
first: number
/**
 * @minItems 1
 */
chunks: SnapshotChunk[]
/**
 * Of Swain, that made it.
 */
version: string
/**
 * When it was made, milliseconds since 1970.
 */
time: number
[k: string]: unknown
}
/**
 * An agent's request for its whole assignment on node.<id>.sync, a page at a time; answered with an Assign of base 0.
 */
export interface Sync {
logId: string
/**
 * What the agent holds.
 */
generation: number
/**
 * The `next` of the page before; left out for the first.
 */
after?: string
[k: string]: unknown
}
/**
 * The answer to api.<ns or _>.pod.top and api._.node.top: what pods and nodes use, as last measured. The request is a list-request.
 */
export interface TopReply {
epoch: number
sequence: number
next?: string
items: TopItem[]
[k: string]: unknown
}
export interface TopItem {
/**
 * Of a pod.
 */
namespace?: string
name: string
/**
 * Of a pod.
 */
workload?: string
/**
 * Of a pod that has one.
 */
node?: string
use?: Usage
reserve: Usage
/**
 * How long ago the figure came.
 */
ageMs?: number
[k: string]: unknown
}
/**
 * api.<ns>.autoscaler.get and .list: what was applied, the last change, and what is seen now. KV holds the desired object.
 */
export interface AutoscalerObject {
apiVersion: "swain/v1"
logId: string
/**
 * Of the last event that changed this object.
 */
sequence: number
metadata: ObjectMeta
kind: "Autoscaler"
spec: AutoscalerSpec
status: AutoscalerStatus
[k: string]: unknown
}
export interface ObjectMeta {
name: string
namespace?: string
labels?: Labels
/**
 * Sequence of the event that last changed the spec.
 */
generation?: number
}
export interface AutoscalerStatus {
last?: AutoscaleDecision
now: AutoscaleEvaluation
}
/**
 * Bucket desired, key <kind>.<namespace>.<name>: what was applied.
 */
export interface DesiredObject {
apiVersion: "swain/v1"
logId: string
/**
 * Of the last event that changed this object.
 */
sequence: number
metadata: ObjectMeta
kind: ("Workload" | "Service" | "Autoscaler")
spec: {

}
[k: string]: unknown
}
/**
 * What api.<ns>.endpoint.list answers: an endpoint that is no pod. In KV it is part of its service's endpoints.
 */
export interface EndpointObject {
apiVersion: "swain/v1"
logId: string
/**
 * Of the last event that changed this object.
 */
sequence: number
metadata: ObjectMeta
kind: "Endpoint"
spec: EndpointSpec
status: EndpointStatus
[k: string]: unknown
}
export interface EndpointSpec {
service: string
addresses: ExternalAddresses
ttlMs: number
}
export interface EndpointStatus {
/**
 * Milliseconds since 1970.
 */
since: number
}
/**
 * What the service's manifest says about balancing; left out when it says nothing.
 */
export interface Traffic {
balance?: string
sticky?: string
check?: BackendCheck
ejection?: Ejection
proxyProtocol?: string
maxConnections?: number
maxConnectionsPerBackend?: number
[k: string]: unknown
}
/**
 * Bucket endpoints, key <namespace>.<service>.head: what a proxy must know to read the shards.
 */
export interface EndpointsHead {
logId: string
sequence: number
namespace: string
service: string
ports: ServicePort[]
/**
 * Shards are keys 0 … shards-1.
 */
shards: number
traffic?: Traffic
[k: string]: unknown
}
/**
 * Bucket endpoints, key <namespace>.<service>.<n>: ready pods and external endpoints, by the hash of their name.
 */
export interface EndpointsShard {
logId: string
sequence: number
endpoints: Endpoint[]
[k: string]: unknown
}
export interface Endpoint {
/**
 * namespace/name of the pod or the external endpoint
 */
pod: string
/**
 * Empty for an external endpoint.
 */
node: string
/**
 * The host fact of its node: equal to the proxy own means the local address may be used.
 */
host: string
/**
 * Of more than four only those that a port of the service asks for.
 */
addresses: PodAddress[]
/**
 * True for a program that no node runs and that registered itself.
 */
external?: boolean
[k: string]: unknown
}
/**
 * Bucket nodes, key <id>.
 */
export interface NodeObject {
apiVersion: "swain/v1"
/**
 * Of the cluster the node is in: tells a backup of it from one of another cluster of that name.
 */
clusterUid?: string
logId: string
/**
 * Of the last event that changed this object.
 */
sequence: number
metadata: ObjectMeta
kind: "Node"
facts: NodeFacts
status: NodeStatus
[k: string]: unknown
}
export interface NodeStatus {
state: ("ready" | "unknown")
/**
 * active: takes new pods. cordoned: takes none. draining: its pods move away, too.
 */
mode?: ("active" | "cordoned" | "draining")
/**
 * Milliseconds since 1970.
 */
since: number
reason: string
message: string
/**
 * Generation of its assignment.
 */
assignment: number
reserved: Reserved
pods: number
}
export interface Reserved {
cpuMillis: number
memoryBytes: number
}
/**
 * Bucket pods, key <namespace>.<name>.
 */
export interface PodObject {
apiVersion: "swain/v1"
logId: string
/**
 * Of the last event that changed this object.
 */
sequence: number
metadata: ObjectMeta
kind: "Pod"
spec: PodObjectSpec
status: PodStatus
[k: string]: unknown
}
export interface PodObjectSpec {
workload: string
slot: number
template: number
node?: string
}
export interface PodStatus {
state: PodState
/**
 * Milliseconds since 1970.
 */
since: number
created: number
reason: string
message: string
restarts: number
exitCode?: number
/**
 * Its node is unheard: a copy may still be running there.
 */
possiblyRunning: boolean
addresses?: PodAddress[]
containers?: ContainerObserved[]
}
/**
 * What api._.proxy.list answers: a proxy the leader has heard in the last minute. It is in no bucket.
 */
export interface ProxyObject {
apiVersion: "swain/v1"
kind: "Proxy"
metadata: ObjectMeta
status: ProxyStatus
[k: string]: unknown
}
export interface ProxyStatus {
/**
 * Since its last sign of life.
 */
heardAgoMs: number
/**
 * Services it has said to serve, as namespace/name.
 */
services: string[]
/**
 * PROXY_ID_DOUBLED while two proxies run under this id.
 */
reason?: string
metrics?: ProxyMetrics
[k: string]: unknown
}
/**
 * What api.<ns>.service.get answers; in KV it is the desired object.
 */
export interface ServiceObject {
apiVersion: "swain/v1"
logId: string
/**
 * Of the last event that changed this object.
 */
sequence: number
metadata: ObjectMeta
kind: "Service"
spec: ServiceSpec
status: ServiceStatus
[k: string]: unknown
}
export interface ServiceStatus {
/**
 * Ready pods and external endpoints.
 */
endpoints: number
/**
 * How many of them no node runs.
 */
external?: number
}
/**
 * The first line: of which log, and up to where.
 */
export interface SnapshotHeader {
/**
 * Of the lines that follow.
 */
format: 1
logId: string
parents: string[]
clusterUid: string
/**
 * Last sequence of the log that is folded in, foreign records included.
 */
sequence: number
/**
 * Sequence of the last event that counts.
 */
accepted: number
/**
 * Its id: the end of the chain.
 */
lastEventId: string
epoch: number
leader: string
time: number
foreign: number
podCounter: number
/**
 * How many of each follow.
 */
counts: {
nodes: number
workloads: number
services: number
pods: number
external: number
autoscalers: number
operations: number
[k: string]: unknown
}
[k: string]: unknown
}
export interface SnapshotNode {
id: string
facts: NodeFacts
state: ("ready" | "unknown")
since: number
reason: string
message: string
mode: ("active" | "cordoned" | "draining")
modeReason: string
modeMessage: string
assignment: number
reserved: {
cpuMillis: number
memoryBytes: number
[k: string]: unknown
}
holding: number
pods: string[]
seq: number
[k: string]: unknown
}
export interface SnapshotWorkload {
namespace: string
name: string
labels: Labels
spec: WorkloadSpec
generation: number
/**
 * Generation of the current one of the templates.
 */
template: number
/**
 * @minItems 1
 */
templates: {
generation: number
eventId?: string
spec: WorkloadSpec
[k: string]: unknown
}[]
history: {
generation: number
time: number
spec: WorkloadSpec
[k: string]: unknown
}[]
/**
 * Services that named it and do so no more, oldest first, and the event at which each left it.
 */
former?: {
service: string
sequence: number
[k: string]: unknown
}[]
pods: string[]
deleting: boolean
halted: ({
reason: string
message: string
from?: (number | null)
[k: string]: unknown
} | null)
seq: number
[k: string]: unknown
}
export interface SnapshotService {
namespace: string
name: string
labels: Labels
spec: ServiceSpec
generation: number
headSeq: number
shards: {
index: number
pods: string[]
external: string[]
seq: number
[k: string]: unknown
}[]
shardCount: number
external: string[]
seq: number
[k: string]: unknown
}
export interface SnapshotPod {
namespace: string
name: string
workload: string
slot: number
template: number
node: (string | null)
state: PodState
desired: ("run" | "drain" | "stop")
unheard: boolean
held: (null | {
reason: string
message: string
})
reason: string
message: string
restarts: number
exitCode: (number | null)
addresses: PodAddress[]
containers: ContainerObserved[]
since: number
created: number
ended: boolean
wasReady: boolean
leftAt: number
assignment: number
seq: number
[k: string]: unknown
}
export interface SnapshotExternal {
namespace: string
name: string
service: string
id: string
addresses: ExternalAddresses
ttlMs: number
since: number
seq: number
[k: string]: unknown
}
export interface SnapshotAutoscaler {
namespace: string
name: string
labels: Labels
spec: AutoscalerSpec
generation: number
changedAt: (number | null)
last: (AutoscaleDecision | null)
seq: number
[k: string]: unknown
}
export interface SnapshotOperation {
id: string
sequence: number
[k: string]: unknown
}
/**
 * One line of a snapshot: one part of the folded state, under the name of its kind. The header comes first; the others come in the order in which the fold holds them, which later folds depend on.
 */
export interface SnapshotLine {
header?: SnapshotHeader
node?: SnapshotNode
workload?: SnapshotWorkload
service?: SnapshotService
pod?: SnapshotPod
external?: SnapshotExternal
autoscaler?: SnapshotAutoscaler
/**
 * The services that select a workload.
 */
selected?: {
workload: string
services: string[]
[k: string]: unknown
}
/**
 * The autoscaler of a workload.
 */
scaled?: {
workload: string
autoscaler: string
[k: string]: unknown
}
/**
 * Pods without a node.
 */
pending?: string[]
/**
 * Pods that left the endpoints and wait for the proxies.
 */
draining?: string[]
/**
 * Operations remembered, oldest first.
 */
operations?: SnapshotOperation[]
}
/**
 * What api.<ns>.workload.history answers for each template of the workload that is still known, oldest first.
 */
export interface TemplateObject {
/**
 * Sequence of the event that set it.
 */
generation: number
/**
 * When it was set last, milliseconds since 1970.
 */
time: number
current: boolean
/**
 * Pods that were made from it.
 */
pods: number
spec: WorkloadSpec
[k: string]: unknown
}
/**
 * Bucket workloads, key <namespace>.<name>.
 */
export interface WorkloadObject {
apiVersion: "swain/v1"
logId: string
/**
 * Of the last event that changed this object.
 */
sequence: number
metadata: ObjectMeta
kind: "Workload"
spec: WorkloadSpec
status: WorkloadStatus
[k: string]: unknown
}
export interface WorkloadStatus {
replicas: number
/**
 * Pods that are not stopping, lost or gone.
 */
pods: number
ready: number
/**
 * Pods of the current template.
 */
updated: number
phase: ("steady" | "progressing" | "halted" | "deleting")
reason: string
message: string
}
