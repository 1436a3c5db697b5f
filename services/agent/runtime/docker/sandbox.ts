// What a container may do and see, as the engine's create call takes it. Pure.
import type Dockerode from "dockerode";
import { parseMemoryBytes } from "../../../core/quantity.ts";
import type { ContainerSpec } from "../driver.ts";

/** `seccomp`: what stands for the profile in the call, see `seccompOption`. */
export function sandboxOptions(spec: ContainerSpec, seccomp: string | undefined): Dockerode.HostConfig {
  const { security = {}, tmpfs, ulimits, devices, gpus, shmSize, resources = {} } = spec.container;
  const { groups, capabilities, noNewPrivileges, readOnlyRoot, privileged } = security;
  const options = [
    ...(noNewPrivileges === true ? ["no-new-privileges"] : []),
    ...(seccomp === undefined ? [] : [`seccomp=${seccomp}`]),
  ];
  return {
    ...(groups === undefined ? {} : { GroupAdd: groups.map(String) }),
    ...(capabilities?.add === undefined ? {} : { CapAdd: capabilities.add }),
    ...(capabilities?.drop === undefined ? {} : { CapDrop: capabilities.drop }),
    ...(options.length === 0 ? {} : { SecurityOpt: options }),
    ...(readOnlyRoot === undefined ? {} : { ReadonlyRootfs: readOnlyRoot }),
    ...(privileged === undefined ? {} : { Privileged: privileged }),
    ...(tmpfs === undefined
      ? {}
      : { Tmpfs: Object.fromEntries(tmpfs.map(({ mountPath, size }) => [mountPath, tmpfsOptions(size)])) }),
    ...(resources.pids === undefined ? {} : { PidsLimit: resources.pids }),
    ...(resources.cpuShares === undefined ? {} : { CpuShares: resources.cpuShares }),
    ...(resources.cpuSet === undefined ? {} : { CpusetCpus: resources.cpuSet }),
    ...(ulimits === undefined
      ? {}
      : { Ulimits: ulimits.map(({ name, soft, hard = soft }) => ({ Name: name, Soft: soft, Hard: hard })) }),
    ...(devices === undefined
      ? {}
      : {
          Devices: devices.map(({ hostPath, containerPath = hostPath, permissions = "rwm" }) => ({
            PathOnHost: hostPath,
            PathInContainer: containerPath,
            CgroupPermissions: permissions,
          })),
        }),
    ...(gpus === undefined
      ? {}
      : { DeviceRequests: [{ Count: gpus === "all" ? -1 : Number(gpus), Capabilities: [["gpu"]] }] }),
    ...(shmSize === undefined ? {} : { ShmSize: parseMemoryBytes(shmSize) }),
  };
}

/** As for a mount by hand: `size=1048576`; without a size the kernel takes half of the memory. */
const tmpfsOptions = (size: string | number | undefined): string =>
  size === undefined ? "rw" : `rw,size=${parseMemoryBytes(size)}`;

/** The network of the pod, its hosts and resolver: set by the container that owns the network, shared by the others. */
export function networkOptions(spec: ContainerSpec): Dockerode.HostConfig {
  if (spec.joinNetworkOf !== undefined) return { NetworkMode: `container:${spec.joinNetworkOf}` };
  const { network, hosts, dns } = spec;
  const mode = network?.mode === "host" || network?.mode === "none" ? network.mode : undefined;
  return {
    ...(mode === undefined ? {} : { NetworkMode: mode }),
    ...(hosts === undefined
      ? {}
      : { ExtraHosts: hosts.flatMap(({ ip, names }) => names.map((name) => `${name}:${ip}`)) }),
    ...(dns?.servers === undefined ? {} : { Dns: dns.servers }),
    ...(dns?.searches === undefined ? {} : { DnsSearch: dns.searches }),
    ...(dns?.options === undefined ? {} : { DnsOptions: dns.options }),
  };
}

/**
 * The profile's part of the call: Docker wants a profile itself, Podman the path of it. Undefined for the engine's own.
 * `read` gives the text of a file of the node.
 */
export async function seccompOption(
  seccomp: string | undefined,
  isPodman: boolean,
  read: (path: string) => Promise<string>,
): Promise<string | undefined> {
  if (seccomp === undefined || seccomp === "default") return undefined;
  if (seccomp === "unconfined") return seccomp;
  const text = await read(seccomp);
  return isPodman ? seccomp : text;
}
