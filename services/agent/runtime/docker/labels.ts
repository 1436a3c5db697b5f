// What marks a container as ours, and the names derived from it. Labels are the identity; names are for people.
import { createHash } from "node:crypto";
import type { Container } from "../../../../schemas/generated/types.ts";
import type { ContainerSpec, DriverIdentity } from "../driver.ts";

export const labels = {
  cluster: "swain.cluster",
  node: "swain.node",
  pod: "swain.pod",
  container: "swain.container",
  templateId: "swain.template-id",
  /** The declared ports as JSON, so that any later instance of the driver can name them. */
  ports: "swain.ports",
  /** The fixed host ports it publishes, for the whole pod, as JSON. */
  hostPorts: "swain.host-ports",
  /** Names of the limits it was given, as JSON: an engine shows its own among them. */
  ulimits: "swain.ulimits",
  /** Hash of what the container was made from: a leftover of another make is not taken for it. */
  spec: "swain.spec",
} as const;

export type DeclaredPort = Pick<NonNullable<Container["ports"]>[number], "name" | "containerPort" | "hostPort">;

export type LabelMap = Readonly<Record<string, string>> | null | undefined;

/** True when the labels are those of a container of this cluster and node. */
export function isOurs(found: LabelMap, identity: DriverIdentity | null): boolean {
  if (identity === null || !found) return false;
  return found[labels.cluster] === identity.clusterUid && found[labels.node] === identity.node;
}

/** True when the labels are those of this very pod and container name. */
export function isSame(found: LabelMap, spec: ContainerSpec, identity: DriverIdentity): boolean {
  if (!isOurs(found, identity)) return false;
  return found?.[labels.pod] === spec.pod && found[labels.container] === spec.container.name;
}

/** Swain's labels; they win over any of the user's. */
export function ourLabels(spec: ContainerSpec, identity: DriverIdentity): Record<string, string> {
  // What is undefined is left out of JSON.
  const ports = (spec.container.ports ?? []).map(({ name, containerPort, hostPort }) => ({
    name,
    containerPort,
    hostPort,
  }));
  const wanted = (spec.podPorts ?? spec.container.ports ?? []).flatMap(({ hostPort }) => hostPort ?? []);
  return {
    ...spec.labels,
    [labels.cluster]: identity.clusterUid,
    [labels.node]: identity.node,
    [labels.pod]: spec.pod,
    [labels.container]: spec.container.name,
    ...(spec.templateId === undefined ? {} : { [labels.templateId]: spec.templateId }),
    [labels.ports]: JSON.stringify(ports),
    [labels.ulimits]: JSON.stringify((spec.container.ulimits ?? []).map(({ name }) => name)),
    [labels.hostPorts]: JSON.stringify(spec.joinNetworkOf === undefined ? wanted : []),
  };
}

export const declaredPorts = (found: LabelMap): DeclaredPort[] => listIn<DeclaredPort>(found?.[labels.ports]);

/** Host ports that the manifest asked for by number. */
export const wantedPorts = (found: LabelMap): number[] => listIn<number>(found?.[labels.hostPorts]);

/** Names of the limits that the manifest asked for. */
export const wantedLimits = (found: LabelMap): string[] => listIn<string>(found?.[labels.ulimits]);

function listIn<T>(text: string | undefined): T[] {
  try {
    const list: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(list) ? (list as T[]) : [];
  } catch {
    return [];
  }
}

const clusterPrefix = (identity: DriverIdentity): string => `swain-${identity.clusterUid.slice(0, 8)}`;

/** The container's name. Hyphens may make two pods' names equal; the second one then takes `distinctName`. */
export function containerName(spec: ContainerSpec, identity: DriverIdentity): string {
  return `${clusterPrefix(identity)}-${identity.node}-${spec.pod.replace("/", "-")}-${spec.container.name}`;
}

export function distinctName(spec: ContainerSpec, identity: DriverIdentity): string {
  const parts = [identity.clusterUid, identity.node, spec.pod, spec.container.name];
  return `${containerName(spec, identity)}.${digest(parts.join("\n"), 6)}`;
}

/** A named volume is the namespace's: pods of one node share it, clusters do not. A dot is in none of the parts. */
export function volumeName(spec: ContainerSpec, identity: DriverIdentity, name: string): string {
  return `${clusterPrefix(identity)}.${spec.pod.split("/")[0] ?? ""}.${name}`;
}

export const digest = (text: string, length: number): string =>
  createHash("sha256").update(text).digest("hex").slice(0, length);
