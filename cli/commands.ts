// The table of commands: what the overview of --help says, and where each is loaded from when it is called.
import type { CommandDef } from "citty";

export interface TableEntry {
  readonly name: string;
  readonly group: "Cluster" | "Objects" | "Parts" | "Other";
  readonly summary: string;
  /** Called by programs: not in the overview. */
  readonly hidden?: true;
  readonly load: () => Promise<{ default: CommandDef }>;
}

export const commands: readonly TableEntry[] = [
  {
    name: "up",
    group: "Cluster",
    summary: "Start a whole cluster on this machine",
    load: () => import("./commands/up.ts"),
  },
  { name: "down", group: "Cluster", summary: "Stop what `swain up` started", load: () => import("./commands/down.ts") },
  {
    name: "demo",
    group: "Cluster",
    summary: "Show all of it in a minute and leave nothing running",
    load: () => import("./commands/demo.ts"),
  },
  {
    name: "nats-context",
    group: "Cluster",
    summary: "Print or save a context for the `nats` CLI",
    load: () => import("./commands/nats-context.ts"),
  },
  {
    name: "server-config",
    group: "Cluster",
    summary: "Write the configuration of a nats-server of your own",
    load: () => import("./commands/server-config.ts"),
  },
  {
    name: "apply",
    group: "Objects",
    summary: "Create or change objects from manifests",
    load: () => import("./commands/apply.ts"),
  },
  {
    name: "validate",
    group: "Objects",
    summary: "Check manifests, without a cluster",
    load: () => import("./commands/validate.ts"),
  },
  { name: "delete", group: "Objects", summary: "Delete objects", load: () => import("./commands/delete.ts") },
  {
    name: "get",
    group: "Objects",
    summary: "List objects: pods, workloads, services, autoscalers, nodes, events",
    load: () => import("./commands/get.ts"),
  },
  {
    name: "describe",
    group: "Objects",
    summary: "Tell the story of one object",
    load: () => import("./commands/describe.ts"),
  },
  {
    name: "scale",
    group: "Objects",
    summary: "Change how many pods a workload has",
    load: () => import("./commands/scale.ts"),
  },
  {
    name: "autoscale",
    group: "Objects",
    summary: "Let the number of a workload's pods follow their use",
    load: () => import("./commands/autoscale.ts"),
  },
  {
    name: "top",
    group: "Objects",
    summary: "Show what nodes or pods use",
    load: () => import("./commands/top.ts"),
  },
  {
    name: "wait",
    group: "Objects",
    summary: "Wait until objects are ready, steady, deleted …",
    load: () => import("./commands/wait.ts"),
  },
  {
    name: "rollout",
    group: "Objects",
    summary: "Follow, list and undo template changes of a workload",
    load: () => import("./commands/rollout.ts"),
  },
  { name: "logs", group: "Objects", summary: "Show the output of a pod", load: () => import("./commands/logs.ts") },
  {
    name: "exec",
    group: "Objects",
    summary: "Run a program in a pod",
    load: () => import("./commands/exec.ts"),
  },
  {
    name: "events",
    group: "Objects",
    summary: "Show what happened, and follow what happens",
    load: () => import("./commands/events.ts"),
  },
  {
    name: "controller",
    group: "Parts",
    summary: "Run a controller in the foreground",
    load: () => import("./commands/controller.ts"),
  },
  {
    name: "agent",
    group: "Parts",
    summary: "Run an agent in the foreground",
    load: () => import("./commands/agent.ts"),
  },
  {
    name: "proxy",
    group: "Parts",
    summary: "Run a proxy in the foreground",
    load: () => import("./commands/proxy.ts"),
  },
  {
    name: "doctor",
    group: "Other",
    summary: "Look for what is wrong, and say the cure",
    load: () => import("./commands/doctor.ts"),
  },
  {
    name: "state",
    group: "Other",
    summary: "Compare the stored log with its projections",
    load: () => import("./commands/state.ts"),
  },
  {
    name: "node",
    group: "Cluster",
    summary: "List, drain and remove nodes, and let machines join",
    load: () => import("./commands/node.ts"),
  },
  {
    name: "completion",
    group: "Other",
    summary: "Print the completion script of a shell",
    load: () => import("./commands/completion.ts"),
  },
  {
    name: "complete",
    group: "Other",
    summary: "Print what the shell may complete",
    hidden: true,
    load: () => import("./commands/complete.ts"),
  },
  {
    name: "backup",
    group: "Cluster",
    summary: "Write the whole log into one file",
    load: () => import("./commands/backup.ts"),
  },
  {
    name: "restore",
    group: "Cluster",
    summary: "Bring a cluster back from a backup",
    load: () => import("./commands/restore.ts"),
  },
  { name: "version", group: "Other", summary: "Print the version", load: () => import("./commands/version.ts") },
];
