// Whether the kernel itself ended a container for want of memory. Debian 12's Podman does not notice (its monitor leaves
// the note in another folder than Podman looks into), but the kernel's log names the control group, and with it the
// container. Read only when a container with a memory limit was killed and the engine gave no reason.
import { closeSync, constants, openSync, readSync } from "node:fs";
import type { Inspected } from "./inspect.ts";

const device = "/dev/kmsg";

/** Longest record the kernel hands out, and more records than its buffer holds on any common machine. */
const recordBytes = 8192;
const mostRecords = 100_000;

/** The kernel's clock and the wall clock part a little over months. */
const toleranceMs = 2000;

/** One record: `priority,sequence,microseconds since boot,flags;text`. */
const recordForm = /^\d+,\d+,(\d+),[^;]*;oom-kill:.*\boom_memcg=([^,]*)/;

/** True when the text is a record of that kind about the container, made at `sinceMs` (kernel's clock) or later. */
export function tellsOfContainer(record: string, id: string, sinceMs: number): boolean {
  const [, micros, group] = recordForm.exec(record) ?? [];
  return group !== undefined && group.includes(id) && Number(micros) / 1000 >= sinceMs - toleranceMs;
}

/** False also where the log cannot be read: without the right to it, or on another machine than the engine's. */
export function kernelEnded(found: Inspected): boolean {
  const started = Date.parse(found.State.StartedAt);
  if (Number.isNaN(started)) return false;
  const sinceMs = performance.now() + performance.timeOrigin - started;
  const bootedMs = Number(process.hrtime.bigint() / 1_000_000n);
  return anyRecord((record) => tellsOfContainer(record, found.Id, bootedMs - sinceMs));
}

function anyRecord(matches: (record: string) => boolean): boolean {
  let file: number;
  try {
    file = openSync(device, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    const buffer = Buffer.alloc(recordBytes);
    for (let count = 0; count < mostRecords; count += 1) {
      const record = nextRecord(file, buffer);
      if (record === null) return false;
      if (matches(record)) return true;
    }
    return false;
  } finally {
    closeSync(file);
  }
}

/** Null at the end of what is there. */
function nextRecord(file: number, buffer: Buffer): string | null {
  try {
    return buffer.toString("utf8", 0, readSync(file, buffer));
  } catch (error) {
    // The record was overwritten while it was read: the next one is at hand.
    return (error as NodeJS.ErrnoException).code === "EPIPE" ? "" : null;
  }
}
