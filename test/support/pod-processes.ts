// The processes of a pod of the process driver, found by the variable Swain gives them.
import { readdirSync, readFileSync } from "node:fs";

/** Ids of every process of the pod, its program and the wrapper around it, on this machine; names should be unusual. */
export function podProcesses(pod: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`SWAIN_POD=${pod}`);
      } catch {
        // Gone meanwhile.
        return false;
      }
    })
    .map(Number);
}
