// The mark of a log into which a backup is being written: one more subject of its stream, on which nobody publishes. Set before
// the first record and taken away after the last, so that whoever has read a part of the backup finds it when looking
// afterwards, as `LogStore.tail` does.
import { SwainError } from "../kernel/errors.ts";
import { isRestoring } from "./subjects.ts";

/** As in the configuration of a stream. */
interface Config {
  readonly [field: string]: unknown;
  readonly subjects?: readonly string[];
}

/** True for the configuration of a log that is marked. */
export const isMarked = ({ subjects = [] }: Config): boolean => subjects.some((subject) => isRestoring(subject));

/** Throws LOG_RESTORING where the log is marked. */
export function refuseMarked(stream: string, config: Config): void {
  if (!isMarked(config)) return;
  throw new SwainError("LOG_RESTORING", `a backup is being written into stream ${stream}, or that was broken off`);
}
