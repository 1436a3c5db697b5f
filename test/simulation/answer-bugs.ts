// Deliberate bugs in what operators are told; see `bugs.ts`.
import type { Bug } from "./bugs.ts";

export const answerBugs: readonly Bug[] = [
  {
    name: "what was acknowledged is thrown away, but for new objects",
    file: "controller/term/changes",
    find: 'const written = await writer.write("api", passed, change.operation);',
    replace: `if (passed.length > 0 && results.every(({ action }) => action !== "created")) {
            this.unchanged.push({ change, sequence: this.state.sequence, results });
            return undefined;
        }
        const written = await writer.write("api", passed, change.operation);`,
    invariants: ["1"],
    hours: 0.5,
  },
  {
    name: "a deletion that was acknowledged is thrown away",
    file: "core/admit/change",
    find: "items: workload.deleting ? [] : [",
    replace: "items: true ? [] : [",
    invariants: ["1"],
    hours: 1,
  },
  {
    name: "a count that was changed is said to be unchanged",
    file: "core/admit/change",
    find: "if (workload.spec.replicas === replicas) {",
    replace: "if (workload.spec.replicas >= replicas) {",
    invariants: ["1"],
    hours: 0.5,
  },
  {
    name: "a manifest of a known workload is said to be unchanged",
    file: "core/admit/apply",
    find: "same(current.spec, spec) && same(current.labels, labels)",
    replace: "true",
    invariants: ["1"],
    hours: 0.5,
  },
];
