// Why a create or a start was refused. The engine says so only in prose, which is not read: the reason is found by
// status codes, the container's state, and by looking at the folder or port in question.
import { access } from "node:fs/promises";
import { SwainError } from "../../../kernel/errors.ts";
import type { Sockets } from "../../../kernel/sockets.ts";
import type { ContainerSpec } from "../driver.ts";
import { statusOf } from "./engine.ts";
import { boundFolders, fixedPorts } from "./inspect.ts";
import type { Inspected } from "./inspect.ts";

/** A shell's codes for "not found" and "may not be run"; the engine sets them when the start itself failed. */
const commandCodes = new Set([126, 127]);

/** The error to throw for a create call that failed. `imageMissing` asks the engine. */
export async function createFailure(
  error: unknown,
  spec: ContainerSpec,
  imageMissing: () => Promise<boolean>,
): Promise<unknown> {
  if (statusOf(error) === undefined) return error;
  if (statusOf(error) === 404 && (await imageMissing())) {
    return new SwainError("IMAGE_NOT_FOUND", `image ${spec.container.image ?? ""} is not on this node`, {
      cause: error,
    });
  }
  const folders = (spec.container.volumes ?? []).flatMap(({ hostPath }) => hostPath ?? []);
  const folder = await firstMissing(folders);
  if (folder !== undefined) return mountFailed(folder, error);
  return error;
}

/** The error to throw for a start call that failed; `found` is the container after it. */
export async function startFailure(error: unknown, found: Inspected | null, sockets: Sockets): Promise<unknown> {
  if (statusOf(error) === undefined || found === null) return error;
  const folder = await firstMissing(boundFolders(found));
  if (folder !== undefined) return mountFailed(folder, error);
  // Bad-request status together with a shell's code: the engine tried and could not run the command.
  if (statusOf(error) === 400 && commandCodes.has(found.State.ExitCode)) {
    const why = found.State.ExitCode === 127 ? "is not in the image" : "may not be executed";
    return new SwainError("COMMAND_NOT_FOUND", `command "${found.Path}" ${why}`, { cause: error });
  }
  for (const { address, port } of fixedPorts(found)) {
    if (!(await sockets.canBind(address, port))) {
      return new SwainError("PORT_TAKEN", `port ${port} of ${address} is in use on this node`, { cause: error });
    }
  }
  return error;
}

async function firstMissing(folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) {
    try {
      await access(folder);
    } catch {
      return folder;
    }
  }
  return undefined;
}

function mountFailed(folder: string, cause: unknown): SwainError {
  return new SwainError("MOUNT_FAILED", `${folder} cannot be mounted: it does not exist on this node`, { cause });
}
