// What a pod may ask for that a plain process of a node cannot have: it shares the node's files, network and devices.
// Called by the scheduler, which keeps such pods off those nodes, and by the driver, which refuses them.
import type { Container, WorkloadSpec } from "../../schemas/generated/types.ts";

/** The fields of a container, as the manifest names them. */
export function unsupportedOfContainer(container: Container): string[] {
  const { security = {}, resources = {} } = container;
  const asked: Record<string, unknown> = {
    "security.capabilities": security.capabilities,
    "security.seccomp": security.seccomp === "unconfined" ? undefined : security.seccomp,
    "security.readOnlyRoot": security.readOnlyRoot || undefined,
    "security.privileged": security.privileged || undefined,
    "resources.cpuSet": resources.cpuSet,
    volumes: container.volumes?.length || undefined,
    tmpfs: container.tmpfs?.length || undefined,
    devices: container.devices?.length || undefined,
    gpus: container.gpus,
    shmSize: container.shmSize,
  };
  return Object.keys(asked).filter((name) => asked[name] !== undefined);
}

/** The kind of limit a field takes. `limits.cpu` and `limits.memory` are no reason to keep a pod off a node that cannot hold them. */
const limitOf = { "resources.pids": "pids", "resources.cpuShares": "cpu" } as const;

/** The fields of a container that take control groups this node may not make; `limits` are the kinds it can hold. */
export function unlimitedOfContainer({ resources = {} }: Container, limits: readonly string[]): string[] {
  const asked = { "resources.pids": resources.pids, "resources.cpuShares": resources.cpuShares };
  const names = Object.keys(limitOf) as (keyof typeof limitOf)[];
  return names.filter((name) => asked[name] !== undefined && !limits.includes(limitOf[name]));
}

/** The same of a workload, each once. */
export function unlimitedByProcesses({ containers }: WorkloadSpec, limits: readonly string[]): string[] {
  return [...new Set(containers.flatMap((container) => unlimitedOfContainer(container, limits)))];
}

/** The fields of a workload, its containers' included, each once. A process has the node's own network. */
export function unsupportedByProcesses({ network, hosts, dns, containers }: WorkloadSpec): string[] {
  const pod = [
    ...(network === undefined || network.mode === "bridge" || network.mode === "host" ? [] : ["network"]),
    ...(hosts?.length ? ["hosts"] : []),
    ...(dns === undefined ? [] : ["dns"]),
  ];
  return [...new Set([...pod, ...containers.flatMap(unsupportedOfContainer)])];
}
