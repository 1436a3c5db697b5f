// From a container as the manifest has it to what the engine's create call takes. Pure.
import type Dockerode from "dockerode";
import { parseCpuMillis, parseMemoryBytes } from "../../../core/quantity.ts";
import type { ContainerSpec, DriverIdentity } from "../driver.ts";
import { portVariables } from "../environment.ts";
import { parseImage } from "../../../core/image.ts";
import { digest, labels, ourLabels, volumeName } from "./labels.ts";
import { networkOptions, sandboxOptions } from "./sandbox.ts";

/** The engine keeps this much output of a container: 30 MB in three files. */
const logConfig = { Type: "json-file", Config: { "max-size": "10m", "max-file": "3" } };

/** The engine refuses more CPU than it has and less than a hundredth of a core. */
const smallestCpu = 10;

/**
 * Options of the create call, hash label included. `cpus` = what the engine has: a larger limit limits nothing; `seccomp` = what
 * stands for the profile.
 * No init process: with one, a command that does not exist would look like a container that started and ended.
 */
export function createOptions(
  spec: ContainerSpec,
  identity: DriverIdentity,
  cpus: number,
  seccomp?: string,
): Dockerode.ContainerCreateOptions {
  const { container } = spec;
  const ports = publishedPorts(spec);
  const options: Dockerode.ContainerCreateOptions = {
    Image: parseImage(container.image ?? "").text,
    ...(container.command ? { Entrypoint: container.command } : {}),
    ...(container.args ? { Cmd: container.args } : {}),
    ...(container.security?.user === undefined ? {} : { User: String(container.security.user) }),
    Env: environment(spec),
    Labels: ourLabels(spec, identity),
    ExposedPorts: Object.fromEntries(Object.keys(ports).map((port) => [port, {}])),
    HostConfig: {
      ...resources(spec, cpus),
      ...sandboxOptions(spec, seccomp),
      ...networkOptions(spec),
      Mounts: mounts(spec, identity),
      PortBindings: ports,
      RestartPolicy: { Name: "" },
      AutoRemove: false,
      LogConfig: logConfig,
    },
  };
  const hash = digest(JSON.stringify(options), 16);
  return { ...options, Labels: { ...options.Labels, [labels.spec]: hash } };
}

function environment(spec: ContainerSpec): string[] {
  const own = Object.fromEntries((spec.container.env ?? []).map(({ name, value }) => [name, value]));
  const ports = (spec.container.ports ?? []).map(({ name, containerPort }) => ({ name, port: containerPort }));
  return Object.entries({ ...own, ...portVariables(ports), ...spec.env }).map(([name, value]) => `${name}=${value}`);
}

/** Ports are published by the container that owns the network: the pod's first. An empty host port = any free one. */
function publishedPorts(spec: ContainerSpec): Record<string, { HostIp: string; HostPort: string }[]> {
  if (spec.joinNetworkOf !== undefined || spec.network?.mode === "host") return {};
  const fixed = new Map<number, Set<number>>();
  for (const { containerPort, hostPort } of spec.podPorts ?? spec.container.ports ?? []) {
    if (containerPort === undefined) continue;
    const wanted = fixed.get(containerPort) ?? new Set<number>();
    fixed.set(containerPort, hostPort === undefined ? wanted : wanted.add(hostPort));
  }
  const bind = (port: string): { HostIp: string; HostPort: string } => ({ HostIp: spec.advertise, HostPort: port });
  return Object.fromEntries(
    [...fixed].map(([port, wanted]) => [
      `${port}/tcp`,
      wanted.size === 0 ? [bind("")] : [...wanted].map((hostPort) => bind(String(hostPort))),
    ]),
  );
}

function resources(spec: ContainerSpec, cpus: number): Dockerode.HostConfig {
  const { limits, requests } = spec.container.resources ?? {};
  const config: Dockerode.HostConfig = {};
  if (limits?.cpu !== undefined) {
    const millis = Math.max(smallestCpu, parseCpuMillis(limits.cpu));
    config.NanoCpus = Math.min(millis, cpus * 1000) * 1e6;
  }
  if (limits?.memory !== undefined) {
    config.Memory = parseMemoryBytes(limits.memory);
    // Equal = no swap: a container over its limit ends at once instead of slowing the whole node down.
    config.MemorySwap = config.Memory;
  }
  if (requests?.cpu !== undefined) {
    // 1024 shares are one core's worth; the kernel's smallest is 2.
    config.CpuShares = Math.max(2, Math.floor((parseCpuMillis(requests.cpu) * 1024) / 1000));
  }
  return config;
}

function mounts(spec: ContainerSpec, identity: DriverIdentity): Dockerode.MountConfig {
  const list = (spec.container.volumes ?? []).map(({ name, hostPath, mountPath, readOnly }) => ({
    Type: hostPath === undefined ? "volume" : "bind",
    Source: hostPath ?? volumeName(spec, identity, name ?? ""),
    Target: mountPath,
    ReadOnly: readOnly ?? false,
    VolumeOptions: hostPath === undefined ? { Labels: { [labels.cluster]: identity.clusterUid } } : undefined,
  }));
  // The library's type demands fields of VolumeOptions that the API leaves to defaults.
  return list as unknown as Dockerode.MountConfig;
}
