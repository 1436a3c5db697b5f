// Why a create or a start was refused. The engine says so only in prose, which is not read: the reason is found by
// status codes, the container's state, and by looking at the folder or port in question.
import { access } from "node:fs/promises";
import { SwainError } from "../../../kernel/errors.ts";
import type { Sockets } from "../../../kernel/sockets.ts";
import type { ContainerSpec } from "../driver.ts";
import { causeOf, statusOf } from "./engine.ts";
import { boundFolders, fixedPorts } from "./inspect.ts";
import type { Inspected } from "./inspect.ts";
import { wantedPorts } from "./labels.ts";

/** A shell's codes for "not found" and "may not be run"; the engine sets them when the start itself failed. */
const commandCodes = new Set([126, 127]);

/** The causes by which Podman says the same. */
const podmanCauses: ReadonlyMap<string, string> = new Map([
  ["OCI runtime attempted to invoke a command that was not found", "is not in the image"],
  ["OCI permission denied", "may not be executed"],
]);

/**
 * What the system calls ENOSPC. Neither engine has a code for it, and the room that was missing may be free again when
 * one looks, so these words, the same for every program in Go, are all there is.
 */
export const isDiskFull = (message: string): boolean => message.includes("no space left on device");

/** The error to throw for a create call that failed. `imageMissing` asks the engine. */
export async function createFailure(
  error: unknown,
  spec: ContainerSpec,
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
  return (await missingFolder(folders, error)) ?? error;
}

/** The error to throw for a start call that failed; `found` is the container after it. */
export async function startFailure(error: unknown, found: Inspected | null, sockets: Sockets): Promise<unknown> {
  if (statusOf(error) === undefined || found === null) return error;
  const folder = await missingFolder(boundFolders(found), error);
  if (folder !== null) return folder;
  const why = commandFailure(error, found);
  if (why !== null) return new SwainError("COMMAND_NOT_FOUND", `command "${found.Path}" ${why}`, { cause: error });
  for (const { address, port } of fixedPorts(found)) {
    if (!(await sockets.canBind(address, port))) {
      const message = `port ${port} of ${address} is in use on this node`;
      return new SwainError("PORT_TAKEN", message, { cause: error, details: { port } });
    }
  }
  return error;
}

/** True when the failure is about a port that nobody asked for by number. */
export function isForChosenPort(failure: unknown, found: Inspected): boolean {
  if (!(failure instanceof SwainError) || failure.code !== "PORT_TAKEN") return false;
  return !wantedPorts(found.Config.Labels).includes(Number(failure.details["port"]));
}

/** How the command could not be run, or null when that was not it. */
function commandFailure(error: unknown, found: Inspected): string | null {
  const cause = podmanCauses.get(causeOf(error) ?? "");
  if (cause !== undefined) return cause;
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
