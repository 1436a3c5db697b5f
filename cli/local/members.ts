// Reads the file in which `swain up` keeps who has joined.
import { emptyRegistry, withoutUnfitKeys } from "../../services/bus/embedded/registry.ts";
import type { Registry } from "../../services/bus/embedded/registry.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { systemDisk } from "../../services/kernel/node/disk.ts";
import type { LocalPaths } from "./layout.ts";

/** The registry as it was kept last; empty at first. Rejects with DISK_ERROR when it cannot be read. */
export async function readRegistry(paths: LocalPaths): Promise<Registry> {
  const text = await systemDisk.read(paths.members);
  if (text === null) return emptyRegistry;
  try {
    return withoutUnfitKeys(JSON.parse(text) as Registry);
  } catch (error) {
    throw new SwainError("DISK_ERROR", `${paths.members} is damaged: restore it, or remove it and join again`, {
      cause: error,
    });
  }
}
