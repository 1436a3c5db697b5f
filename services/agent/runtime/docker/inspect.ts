// From what the engine says about a container to ContainerInfo. Pure.
import type Dockerode from "dockerode";
import type { ContainerInfo, PublishedPort } from "../driver.ts";
import { declaredPorts, labels } from "./labels.ts";
import type { DeclaredPort } from "./labels.ts";
import type { Span } from "./outages.ts";

export type Inspected = Dockerode.ContainerInspectInfo;

/** What an engine's list says of a container. */
export type Listed = Pick<Dockerode.ContainerInfo, "Id" | "Labels" | "State">;

/** Id of the container whose network this one joins. */
export function networkOwner(found: Inspected): string | undefined {
  const mode = found.HostConfig.NetworkMode ?? "";
  return mode.startsWith("container:") ? mode.slice("container:".length) : undefined;
}

/**
 * `network` is the container that owns the network: itself, or the pod's first one (null when that is gone). `reachable`
 * is false where this host has no way to the container's own address, as with a rootless engine. `unseen` are the times
 * in which nobody could see how a container ended.
 */
export function containerInfo(
  found: Inspected,
  network: Inspected | null,
  reachable = true,
  unseen: readonly Span[] = [],
): ContainerInfo {
  const { Status, StartedAt } = found.State;
  // Podman before 5.0 shows what its machine's end cut off as made: only the start that it tells is not of one that never ran.
  const isCutOff = Status === "created" && timeOf(StartedAt) !== null;
  const state = isCutOff ? "exited" : stateOf(Status);
  const address = state === "running" && network ? ownAddress(network, reachable) : undefined;
  return {
    id: found.Id,
    pod: found.Config.Labels[labels.pod] ?? "",
    name: found.Config.Labels[labels.container] ?? "",
    ...templateOf(found.Config.Labels),
    state,
    ...(state === "exited" ? { exitCode: isCutOff ? null : exitCodeOf(found, unseen) } : {}),
    oomKilled: state === "exited" && found.State.OOMKilled,
    ports: state === "running" && network ? publishedPorts(declaredPorts(found.Config.Labels), network, address) : [],
    ...(address === undefined ? {} : { address }),
  };
}

/**
 * A machine or an engine that goes down asks every program to end: one that does so in order has not done its work for that.
 * Podman since 5.0 shows 0 of what its machine's end cut off, and as the time of its end none or that of the run before.
 */
function exitCodeOf({ State }: Inspected, unseen: readonly Span[]): number | null {
  if (State.ExitCode !== 0) return State.ExitCode;
  const finished = timeOf(State.FinishedAt);
  if (finished === null) return null;
  const endedAt = Math.max(finished, timeOf(State.StartedAt) ?? finished);
  return unseen.some(({ from, until }) => from < endedAt && endedAt < until) ? null : 0;
}

/** Null for a time that never was: engines say the year 1. */
export function timeOf(text: string): number | null {
  const time = Date.parse(text);
  return Number.isNaN(time) || time <= 0 ? null : time;
}

/** Of a container that only the list tells of: nobody knows how it ended, nor where it can be reached. */
export function listedInfo({ Id, Labels, State }: Listed): ContainerInfo {
  const state = stateOf(State);
  return {
    id: Id,
    pod: Labels[labels.pod] ?? "",
    name: Labels[labels.container] ?? "",
    ...templateOf(Labels),
    state,
    ...(state === "exited" ? { exitCode: null } : {}),
    oomKilled: false,
    ports: [],
  };
}

function templateOf({ [labels.templateId]: templateId }: Listed["Labels"]): { templateId?: string } {
  return templateId === undefined ? {} : { templateId };
}

function stateOf(status: string): ContainerInfo["state"] {
  if (status === "created" || status === "configured" || status === "initialized") return "created";
  // A paused one holds its memory and ports, and stops only after the engine thawed it. Podman calls one "stopping" from
  // the first signal until its programs have ended.
  return ["running", "paused", "restarting", "stopping"].includes(status) ? "running" : "exited";
}

/** Undefined where it has no network, or one that is not to be reached from here. */
function ownAddress(network: Inspected, reachable: boolean): string | undefined {
  if (network.HostConfig.NetworkMode === "host") return "127.0.0.1";
  if (!reachable) return undefined;
  return Object.values(network.NetworkSettings.Networks)
    .map(({ IPAddress }) => IPAddress)
    .find((address) => address !== "");
}

function publishedPorts(
  declared: readonly DeclaredPort[],
  network: Inspected,
  local: string | undefined,
): PublishedPort[] {
  return declared.flatMap(({ name, containerPort, hostPort }) => {
    if (containerPort === undefined) return [];
    // On the node's own network a port is what it is.
    if (network.HostConfig.NetworkMode === "host") {
      return [
        {
          name,
          containerPort,
          hostPort: containerPort,
          ...(local === undefined ? {} : { local, localPort: containerPort }),
        },
      ];
    }
    const bindings = network.NetworkSettings.Ports[`${containerPort}/tcp`] ?? [];
    const binding = bindings.find((one) => Number(one.HostPort) === hostPort) ?? bindings[0];
    const bound = Number(binding?.HostPort);
    if (binding === undefined || !Number.isInteger(bound) || bound === 0) return [];
    return [
      {
        name,
        containerPort,
        hostPort: bound,
        ...(everyAddress.has(binding.HostIp) ? {} : { host: binding.HostIp }),
        ...(local === undefined ? {} : { local, localPort: containerPort }),
      },
    ];
  });
}

/** What engines say of a port that is published at every address of the host. */
const everyAddress: ReadonlySet<string | undefined> = new Set(["", "0.0.0.0", "::", undefined]);

/** Host ports that were asked for by number, with the address they bind to. */
export const fixedPorts = (found: Inspected): HostBinding[] => hostBindings(found).filter(({ port }) => port > 0);

/** An address of the host, and the port there that was asked for; 0 is any. */
interface HostBinding {
  readonly address: string;
  readonly port: number;
}

/** What the container publishes on the host. */
export function hostBindings(found: Inspected): HostBinding[] {
  const bindings = Object.values((found.HostConfig.PortBindings ?? {}) as Record<string, unknown>).flat();
  return (bindings as { HostIp?: string; HostPort?: string }[]).map(({ HostIp, HostPort }) => ({
    address: HostIp || "0.0.0.0",
    port: Number(HostPort || "0"),
  }));
}

/** Folders of the node that the container mounts. */
export function boundFolders(found: Inspected): string[] {
  return found.Mounts.filter(({ Type }) => Type === "bind").map(({ Source }) => Source);
}

/** Devices of the node that the container is given. */
export function givenDevices(found: Inspected): string[] {
  const devices = (found.HostConfig.Devices ?? []) as { readonly PathOnHost?: string }[];
  return devices.flatMap(({ PathOnHost }) => PathOnHost ?? []);
}

export function asksForGpus(found: Inspected): boolean {
  return ((found.HostConfig.DeviceRequests ?? []) as unknown[]).length > 0;
}
