// The faults of the report take half an hour; each run of CI has time for one file of them on one generation of nats-server
// (with engines: on Docker or on Podman), chosen by the commit, beside the short ones that always run.
// `node test/faults/turn.mjs COMMIT` prints it: "cut-off.fault.ts old".
import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";

/** What CI's turns are chosen from: every file of faults on each server, but for what the tests run anyway. */
export function turns(folder = import.meta.dirname) {
  const files = readdirSync(folder).filter((name) => name.endsWith(".fault.ts"));
  return files
    .toSorted()
    .flatMap((file) =>
      (file.endsWith(".short.fault.ts") ? ["old"] : ["current", "old"]).map((age) => `${file} ${age}`),
    );
}

/** The turn of a commit, or of whatever else changes from run to run. */
export function turnOf(commit, all = turns()) {
  const chance = createHash("sha256").update(commit).digest().readUInt32BE();
  return all[chance % all.length];
}

if (process.argv[1] === import.meta.filename) console.log(turnOf(process.argv[2] ?? ""));
