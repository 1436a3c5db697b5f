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
    "resources.pids": resources.pids,
    "resources.cpuShares": resources.cpuShares,
    "resources.cpuSet": resources.cpuSet,
    volumes: container.volumes?.length || undefined,
    tmpfs: container.tmpfs?.length || undefined,
    devices: container.devices?.length || undefined,
    gpus: container.gpus,
    shmSize: container.shmSize,
  };
  return Object.keys(asked).filter((name) => asked[name] !== undefined);
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
