// Why a create or a start was refused. The engine says so only in prose, which is not read: the reason is found by
// status codes, the container's state, and by looking at the folder or port in question.
import { access } from "node:fs/promises";
import { SwainError } from "../../../kernel/errors.ts";
import type { Sockets } from "../../../kernel/sockets.ts";
import type { ContainerSpec } from "../driver.ts";
import { causeOf, statusOf } from "./engine.ts";
import { asksForGpus, boundFolders, fixedPorts, givenDevices, hostBindings } from "./inspect.ts";
import type { Inspected } from "./inspect.ts";
import { wantedLimits, wantedPorts } from "./labels.ts";

/** A shell's codes for "not found" and "may not be run"; the engine sets them when the start itself failed. */
export const commandCodes = new Set([126, 127]);

/** Podman's cause for the same. Its "permission denied" may be about the command or about a limit, so it tells nothing. */
export const noCommand = "OCI runtime attempted to invoke a command that was not found";

/**
 * What the system calls ENOSPC. Neither engine has a code for it, and the room that was missing may be free again when
 * one looks, so these words, the same for every program in Go, are all there is.
 */
export const isDiskFull = (message: string): boolean => message.includes("no space left on device");

/**
 * A user or group that the image does not have: fixed words of the Go package both engines look users up with. Docker
 * gives the same status as for its own troubles, so these words are all there is.
 */
const isNobody = (error: unknown): boolean =>
  /no matching entries in (?:passwd|group) file/.test(error instanceof Error ? error.message : "");

/** Podman's fixed cause, with the status of its own troubles. */
const unknownCapability = "unknown capability";

/** True when it asks for a CPU that the engine's machine has not. */
function exceeds(cpuSet: string | undefined, cpus: number): boolean {
  return (cpuSet?.match(/[0-9]+/g) ?? []).some((cpu) => Number(cpu) >= cpus);
}

/** The error to throw for a create call that failed. `imageMissing` asks the engine; `cpus` are those of its machine. */
export async function createFailure(
  error: unknown,
  spec: ContainerSpec,
  cpus: number,
  imageMissing: () => Promise<boolean>,
): Promise<unknown> {
  if (statusOf(error) === undefined) return error;
  if (isDiskFull((error as Error).message))
    return new SwainError("DISK_FULL", (error as Error).message, { cause: error });
  if (statusOf(error) === 404 && (await imageMissing())) {
    return new SwainError("IMAGE_NOT_FOUND", `image ${spec.container.image ?? ""} is not on this node`, {
      cause: error,
    });
  }
  const folders = (spec.container.volumes ?? []).flatMap(({ hostPath }) => hostPath ?? []);
  const devices = (spec.container.devices ?? []).map(({ hostPath }) => hostPath);
  return (
    (await missingFolder(folders, error)) ??
    (await missingDevice(devices, error)) ??
    (refused(error) || exceeds(spec.container.resources?.cpuSet, cpus) ? sandboxRefused(error, spec) : error)
  );
}

/** A call that was understood and not taken: the engine says which field it would not have. */
const refused = (error: unknown): boolean => statusOf(error) === 400 || causeOf(error) === unknownCapability;

const sandboxFields = ["security", "tmpfs", "ulimits", "devices", "gpus", "shmSize"] as const;

function sandboxRefused(error: unknown, { container, network, hosts, dns }: ContainerSpec): unknown {
  const { pids, cpuShares, cpuSet } = container.resources ?? {};
  const set = [...sandboxFields.map((field) => container[field]), network, hosts, dns, pids, cpuShares, cpuSet];
  if (set.every((value) => value === undefined)) return error;
  return new SwainError("SANDBOX_REFUSED", (error as Error).message, { cause: error });
}

async function missingDevice(devices: readonly string[], cause: unknown): Promise<SwainError | null> {
  const missing = await missingFolder(devices);
  if (missing === null) return null;
  return new SwainError("SANDBOX_REFUSED", `a device is not there: ${missing.message}`, { cause });
}

/** The error to throw for a start call that failed; `found` is the container after it. */
export async function startFailure(error: unknown, found: Inspected | null, sockets: Sockets): Promise<unknown> {
  if (statusOf(error) === undefined || found === null) return error;
  const folder = await missingFolder(boundFolders(found), error);
  if (folder !== null) return folder;
  const device = await missingDevice(givenDevices(found), error);
  if (device !== null) return device;
  if (isNobody(error)) return new SwainError("SANDBOX_REFUSED", (error as Error).message, { cause: error });
  const why = commandFailure(error, found);
  if (why !== null) return new SwainError("COMMAND_NOT_FOUND", `command "${found.Path}" ${why}`, { cause: error });
  if (asksForGpus(found)) {
    return new SwainError("GPU_UNAVAILABLE", (error as Error).message, { cause: error });
  }
  for (const { address, port } of fixedPorts(found)) {
    if (!(await sockets.canBind(address, port))) {
      const message = `port ${port} of ${address} is in use on this node`;
      return new SwainError("PORT_TAKEN", message, { cause: error, details: { port } });
    }
  }
  if (!hasSandbox(found)) return error;
  return new SwainError("SANDBOX_REFUSED", (error as Error).message, { cause: error });
}

/** True when it has rights or limits that a node may be unable to grant. */
function hasSandbox({ HostConfig: host, Config: config }: Inspected): boolean {
  const lists = [host.CapAdd, host.SecurityOpt, host.Devices, wantedLimits(config.Labels)] as unknown[];
  return host.Privileged === true || lists.some((list) => Array.isArray(list) && list.length > 0);
}

/** True when the failure is about a port that nobody asked for by number. */
export function isForChosenPort(failure: unknown, found: Inspected): boolean {
  if (!(failure instanceof SwainError) || failure.code !== "PORT_TAKEN") return false;
  return !wantedPorts(found.Config.Labels).includes(Number(failure.details["port"]));
}

/** The address it was made for that this machine does not have (any more), or undefined. */
export async function lostAddress(found: Inspected, sockets: Sockets): Promise<string | undefined> {
  for (const address of new Set(hostBindings(found).map((binding) => binding.address))) {
    if (!(await sockets.canBind(address, 0))) return address;
  }
  return undefined;
}

/** How the command could not be run, or null when that was not it. */
function commandFailure(error: unknown, found: Inspected): string | null {
  if (causeOf(error) === noCommand) return "is not in the image";
  // Bad-request status together with a shell's code: Docker tried and could not run the command.
  if (statusOf(error) !== 400 || !commandCodes.has(found.State.ExitCode)) return null;
  return found.State.ExitCode === 127 ? "is not in the image" : "may not be executed";
}

/** MOUNT_FAILED about the first of the folders that is not there, or null. */
export async function missingFolder(folders: readonly string[], cause?: unknown): Promise<SwainError | null> {
  for (const folder of folders) {
    try {
      await access(folder);
    } catch {
      const message = `${folder} cannot be mounted: it does not exist on this node`;
      return new SwainError("MOUNT_FAILED", message, cause === undefined ? {} : { cause });
    }
  }
  return null;
}
