// Finds programs of the node.
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { join } from "node:path";

/** Where programs of the system itself are looked for, whatever PATH the agent has. */
const systemFolders = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"];

/** The path of one of the system's own programs, null when it is not there. */
export async function findProgram(name: string): Promise<string | null> {
  for (const folder of systemFolders) if (await isProgram(join(folder, name))) return join(folder, name);
  return null;
}

/** Whether it is a file that may be run. */
export async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
