// Deliberate bugs in how the pods of a workload follow each other.
import type { Bug } from "./bugs.ts";

export const workloadBugs: readonly Bug[] = [
  {
    name: "an old pod goes before its successor is ready",
    file: "core/plan/rollout",
    find: "pod.template === current && isHeard(pod) && counts(state, pod, time));",
    replace: "pod.template === current);",
    invariants: ["plan", "7"],
    hours: 1,
  },
  {
    name: "a drained pod goes before its copy is ready",
    file: "core/plan/evacuate",
    find: "isDone(pod) || (isServing(pod) && provenInMs(state, pod, time) === 0)",
    replace: "true",
    invariants: ["plan", "7"],
    hours: 1,
  },
  {
    name: "fenced pods leave a drained node without waiting for each other",
    file: "core/plan/evacuate",
    find: "const [first] = unready;",
    replace: "const first = undefined;",
    invariants: ["7"],
    hours: 7,
  },
  {
    name: "a smaller number takes those that serve first",
    file: "core/plan/reconcile",
    find: "readiness(a) - readiness(b) || newest(b) - newest(a)",
    replace: "newest(b) - newest(a)",
    invariants: ["7"],
    hours: 1,
  },
  {
    name: "a task that did its work is made anew",
    file: "core/transitions",
    find: 'return pod.desired === "run" && pod.state !== "lost";',
    replace: 'return pod.desired === "run" && pod.state !== "lost" && !pod.ended;',
    invariants: ["4", "5", "plan"],
    hours: 6,
  },
  {
    name: "a drain that is held up does not say why",
    file: "core/plan/nodes",
    find: "why === null ? []",
    replace: "true ? []",
    invariants: ["4"],
    hours: 5,
  },
  {
    name: "a broken pod of a halted change fills its slot",
    file: "core/plan/reconcile",
    find: ", ...unserved(state, workload, slots, template)",
    replace: "",
    invariants: ["4"],
    hours: 30,
  },
  {
    name: "a proxy that names a service is waited for when that is deleted",
    file: "proxy/proxy",
    find: "this.table.acknowledged(service)",
    replace: "this.table.appliedOf(service)",
    invariants: ["7"],
    hours: 25,
  },
];
