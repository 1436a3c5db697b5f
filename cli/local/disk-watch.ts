// The disk under an own nats-server. A server that could not write goes on refusing writes when there is room again, and only
// a restart cures it; so it is started anew once there is.
import { statfs } from "node:fs/promises";
import { memoryText } from "../output/units.ts";

/** With less than this, some write has failed or is about to: one block of a stream takes up to 8 MiB. */
const scarceBytes = 16 * 1024 ** 2;
/** Room for some blocks of every stream: below, the next write would fail again. */
const enoughBytes = 128 * 1024 ** 2;
/** A disk fills and empties within seconds; looking costs a system call. */
const lookMs = 1000;

export interface DiskWatchOptions {
  /** A folder on that disk. */
  readonly folder: string;
  readonly say: (line: string) => void;
  /** Starts the server anew. */
  readonly restart: () => void;
}

/** Whether a write may have failed since the server was started. */
export type DiskState = "fine" | "was full";

/** What follows from the free space that was seen. Pure. */
export function judgeDisk(state: DiskState, freeBytes: number): { state: DiskState; act?: "warn" | "restart" } {
  if (state === "fine") return freeBytes < scarceBytes ? { state: "was full", act: "warn" } : { state };
  return freeBytes >= enoughBytes ? { state: "fine", act: "restart" } : { state };
}

/** Looks at the disk until it is told to stop. */
export function watchDisk({ folder, say, restart }: DiskWatchOptions): () => void {
  let state: DiskState = "fine";
  let looking = false;
  const look = async (): Promise<void> => {
    if (looking) return;
    looking = true;
    try {
      const { bavail, bsize } = await statfs(folder);
      const free = bavail * bsize;
      const judged = judgeDisk(state, free);
      state = judged.state;
      if (judged.act === "warn") {
        say(
          `DISK_ERROR: ${memoryText(free)} free where NATS stores its data (${folder}): changes fail until there is room`,
        );
      } else if (judged.act === "restart") {
        say(
          `${memoryText(free)} free again in ${folder}: nats-server is started anew, because one that met a full disk writes no more`,
        );
        restart();
      }
    } catch {
      // The folder is gone: the server itself says that better.
    } finally {
      looking = false;
    }
  };
  const timer = setInterval(() => void look(), lookMs);
  timer.unref();
  return () => clearInterval(timer);
}
