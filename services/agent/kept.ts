// One line in a file of its own that only the next start of the agent needs: where its engine is, what its address was.
import type { Disk } from "../kernel/disk.ts";
import { asSwainError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";

/** Where such a line is. */
export interface Memory {
  readonly disk: Disk;
  readonly file: string;
  readonly log: Logger;
}

/** What was kept; null when there is nothing, or it cannot be read. */
export async function keptLine({ disk, file }: Memory): Promise<string | null> {
  const text = (await disk.read(file).catch(() => null))?.trim() ?? "";
  return text === "" ? null : text;
}

/** Keeps it where it is new. A disk that takes no writes costs the next start alone, so that is said and no more. */
export async function keepLine(memory: Memory, text: string): Promise<void> {
  if ((await keptLine(memory)) === text) return;
  await memory.disk.writeAtomic(memory.file, `${text}\n`).catch((error: unknown) => {
    const { code, message } = asSwainError(error);
    memory.log.warn("what the next start should know could not be kept", { code, message });
  });
}
