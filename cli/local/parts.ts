// What `swain up` starts, as command lines.
import { seedFile } from "../../services/bus/embedded/roles.ts";
import type { Role } from "../../services/bus/embedded/roles.ts";
import type { ChildKind, LocalPaths } from "./layout.ts";
import type { Runtime } from "./runtime.ts";

export interface PartsOptions {
  readonly paths: LocalPaths;
  readonly server: string;
  readonly cluster: string;
  /** False when the server is the user's own. */
  readonly ownServer: boolean;
  /** One credentials file for all roles, when the server is not ours and wants any. */
  readonly creds?: string | undefined;
  readonly controllers: number;
  readonly nodes: number;
  readonly runtime: Runtime;
  /** Where the container engine is, if the user says so. */
  readonly engine?: string | undefined;
  readonly keepPods: boolean;
  readonly proxyHost: string;
  /** The address the nodes tell others; undefined to have it detected. */
  readonly advertise: string | undefined;
}

export interface Part {
  readonly name: string;
  readonly kind: ChildKind;
  readonly args: readonly string[];
  /** From the polite signal to the kill, when it is not the usual of its kind. */
  readonly stopMs?: number;
}

/** Simulated pods end with their process: there is nothing to wait for but farewells. */
const simStopMs = 5000;

/** Names of the nodes: `node-1` … */
function nodeIds(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `node-${index + 1}`);
}

/** The roles whose keys the parts need, and the operator's for people. */
export function rolesFor(options: Pick<PartsOptions, "nodes" | "runtime">): Role[] {
  const agents: Role[] =
    options.runtime === "sim" ? ["nodes"] : nodeIds(options.nodes).map((id): Role => `agent-${id}`);
  return ["controller", "operator", "proxy", "registrar", ...agents];
}

export function controllerParts(options: PartsOptions): Part[] {
  return nodeIds(options.controllers).map((_, index) => {
    const name = `controller-${index + 1}`;
    return { name, kind: "controller", args: ["controller", ...reach(options, "controller"), "--id", name] };
  });
}

/** One agent per node; simulated nodes share one process, so that there may be thousands. */
export function agentParts(options: PartsOptions): Part[] {
  const { nodes, runtime, paths } = options;
  const pods = options.keepPods ? [] : ["--stop-pods"];
  const engine = options.engine === undefined ? [] : ["--engine", options.engine];
  const advertise = options.advertise === undefined ? [] : ["--advertise", options.advertise];
  const common = ["--runtime", runtime, ...engine, ...advertise, ...pods];
  if (runtime === "sim") {
    // Of several, the agent numbers the ids itself.
    const id = nodes === 1 ? "node-1" : "node";
    const own = ["--id", id, "--nodes", String(nodes), "--data", paths.node("sim")];
    const args = ["agent", ...reach(options, "nodes"), ...own, ...common];
    return [{ name: "agent-sim", kind: "agent", args, stopMs: simStopMs }];
  }
  return nodeIds(nodes).map((id) => {
    const own = ["--id", id, "--split", String(nodes), "--data", paths.node(id)];
    return { name: `agent-${id}`, kind: "agent", args: ["agent", ...reach(options, `agent-${id}`), ...own, ...common] };
  });
}

export function proxyPart(options: PartsOptions): Part {
  const own = ["--id", "proxy-1", "--all", "--listen", options.proxyHost, "--data", options.paths.proxy("proxy-1")];
  return { name: "proxy-1", kind: "proxy", args: ["proxy", ...reach(options, "proxy"), ...own] };
}

function reach(options: PartsOptions, role: Role): string[] {
  const creds = options.ownServer ? seedFile(options.paths.creds, role) : options.creds;
  const access = creds === undefined ? [] : ["--creds", creds];
  return ["--server", options.server, ...access, "--cluster", options.cluster];
}
