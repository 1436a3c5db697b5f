// What goes over which subject, as a table: the source of the AsyncAPI document. A test compares it with the API's verbs
// and with the schemas, so that neither can be forgotten here.
import { subjectsOf } from "./subjects.ts";

/** Names of schemas are those of the files in `schemas/`, without `.schema.json`; null is a JSON object without one. */
type SchemaName = string | null;

export interface Channel {
  /** Unique among the channels; letters, digits and hyphens. */
  readonly id: string;
  /** The subject with `{cluster}`, `{namespace}` and the like for its changing tokens. */
  readonly address: string;
  /** Who sends, and who listens: client, leader, agent, proxy, registrar, joiner (a machine with a token). */
  readonly from: string;
  readonly to: string;
  readonly message: SchemaName;
  /** Only of a request: what the answer is; it may be an `api-error` instead. */
  readonly reply?: SchemaName;
  readonly summary: string;
}

interface Verb {
  readonly request: SchemaName;
  readonly reply: SchemaName;
  readonly summary: string;
}

const change = (request: string, summary: string): Verb => ({ request, reply: "accepted", summary });
const list = (what: string): Verb => ({ request: "list-request", reply: "list-reply", summary: `Lists ${what}.` });
const get = (what: string): Verb => ({
  request: "list-request",
  reply: "list-reply",
  summary: `One ${what}, by name.`,
});

/** Every verb of the API, as `<resource>.<verb>`. */
export const apiVerbs: Readonly<Record<string, Verb>> = {
  "manifest.apply": change("apply-request", "Applies documents, all or none."),
  "workload.scale": change("scale-request", "Sets the number of pods."),
  "workload.undo": change("rollout-undo-request", "Applies an earlier template; the count stays."),
  "workload.history": list("the templates of a workload that are still known"),
  "workload.delete": change("delete-request", "Stops all pods and forgets the workload."),
  "service.delete": change("delete-request", "Forgets the service."),
  "endpoint.register": change("endpoint-register-request", "Registers or renews a program on no node as an endpoint."),
  "endpoint.deregister": change("endpoint-deregister-request", "Takes such an endpoint out."),
  "endpoint.list": list("external endpoints"),
  "pod.list": list("pods"),
  "pod.get": get("pod"),
  "pod.logs": {
    request: "logs-request",
    reply: null,
    summary: "Makes the pod's node send its output, and says where.",
  },
  "pod.exec": {
    request: "exec-request",
    reply: null,
    summary: "Makes the pod's node run a program, and says where its output and its input go.",
  },
  "workload.list": list("workloads"),
  "workload.get": get("workload"),
  "service.list": list("services"),
  "service.get": get("service"),
  "node.cordon": change("node-request", "Gives the node no new pods."),
  "node.uncordon": change("node-request", "Gives the node pods again; ends a drain."),
  "node.drain": change("node-request", "Moves the node's pods away, each when a copy of it is ready elsewhere."),
  "node.remove": change("node-request", "Forgets a node that is unheard, or cordoned and empty; with force any."),
  "node.list": list("nodes"),
  "node.get": get("node"),
  "node.top": { request: "list-request", reply: "top-reply", summary: "What nodes use of CPU and memory." },
  "pod.top": { request: "list-request", reply: "top-reply", summary: "What pods use of CPU and memory." },
  "autoscaler.delete": change("delete-request", "Forgets the autoscaler; the count stays."),
  "autoscaler.list": list("autoscalers"),
  "autoscaler.get": get("autoscaler"),
  "proxy.list": list("the proxies heard lately, and what they carry"),
  "event.list": list("the last events, from the log"),
  "cluster.rebuild": {
    request: null,
    reply: "accepted",
    summary:
      "Compares every projection with the log anew and makes a new snapshot; cluster.status tells when it is done.",
  },
  "cluster.status": { request: null, reply: null, summary: "One look at the cluster and its leader." },
};

const subjects = subjectsOf("{cluster}");
const node = "{node}";
const proxy = "{proxy}";

const api: readonly Channel[] = Object.entries(apiVerbs).map(([name, { request, reply, summary }]) => {
  const [resource = "", verb = ""] = name.split(".");
  const address = subjects.api("{namespace}", resource, verb);
  return { id: `api-${resource}-${verb}`, address, from: "client", to: "leader", message: request, reply, summary };
});

const command = (verb: string, message: SchemaName, reply: SchemaName | undefined, summary: string): Channel => ({
  id: `node-cmd-${verb}`,
  address: subjects.node.command(node, verb),
  from: verb === "logs-credit" ? "client" : "leader",
  to: "agent",
  message,
  ...(reply === undefined ? {} : { reply }),
  summary,
});

/** Every channel. */
export const channels: readonly Channel[] = [
  ...api,
  {
    id: "feed",
    address: subjects.feed("{namespace}", "{kind}", "{name}", "{verb}"),
    from: "leader",
    to: "client",
    message: "feed",
    summary: "One CloudEvent for each thing that happened. The namespace is _ for things without one.",
  },
  {
    id: "event",
    address: subjects.event("{kind}", "{namespace}", "{name}", "{verb}"),
    from: "leader",
    to: "client",
    message: "event",
    summary: "The log: each decision of the leader, kept in a JetStream stream. Only the leader's events count.",
  },
  {
    id: "snapshot",
    address: subjects.snapshot("{snapshot}", "manifest"),
    from: "leader",
    to: "client",
    message: "snapshot-manifest",
    summary:
      "Closes a snapshot of the log in its JetStream stream; the chunks before it, on the same subject with `chunk`, are gzip of lines of JSON (`snapshot-line`).",
  },
  {
    id: "leader",
    address: subjects.leader,
    from: "leader",
    to: "client",
    message: "leader-beat",
    summary: "The leader's beat, each 500 ms.",
  },
  command("assign", "assign", "assign-reply", "What the node should run."),
  command("ping", null, "assign-reply", "Is the agent there, and what does it hold?"),
  command("logs", "logs-request", null, "Send a pod's output."),
  command("logs-credit", "logs-credit", undefined, "More output may come."),
  command("exec", "exec-request", null, "Run a program in a pod."),
  {
    id: "node-exec-output",
    address: subjects.node.execOutput(node, "{session}"),
    from: "agent",
    to: "client",
    message: "exec-output",
    summary: "What a program run with pod.exec prints, and its end.",
  },
  {
    id: "node-exec-input",
    address: subjects.node.execInput(node, "{session}"),
    from: "client",
    to: "agent",
    message: "exec-input",
    summary: "What that program reads, and how much of its output was taken.",
  },
  {
    id: "node-sync",
    address: subjects.node.sync(node),
    from: "agent",
    to: "leader",
    message: "sync",
    reply: "assign",
    summary: "The agent asks for its whole assignment, page by page.",
  },
  {
    id: "node-report",
    address: subjects.node.report(node),
    from: "agent",
    to: "leader",
    message: "report",
    reply: null,
    summary: "Pods that changed; answered when it is in the log.",
  },
  {
    id: "node-heartbeat",
    address: subjects.node.heartbeat(node),
    from: "agent",
    to: "leader",
    message: "heartbeat",
    summary: "The agent's sign of life, each second.",
  },
  {
    id: "node-lease",
    address: subjects.node.lease(node),
    from: "agent",
    to: "leader",
    message: "lease-request",
    reply: "lease-reply",
    summary: "An agent with fenced pods asks whether a leader counts it as heard, each second.",
  },
  {
    id: "node-metrics",
    address: subjects.node.metrics(node),
    from: "agent",
    to: "client",
    message: "node-metrics",
    summary: "Use of CPU and memory by the node and its pods, every 5 s.",
  },
  {
    id: "node-log",
    address: subjects.node.log(node, "{pod}"),
    from: "agent",
    to: "client",
    message: "log-chunk",
    summary: "Output that was asked for with pod.logs.",
  },
  {
    id: "proxy-heartbeat",
    address: subjects.proxy.heartbeat(proxy),
    from: "proxy",
    to: "leader",
    message: "proxy-heartbeat",
    summary: "What the proxy has applied and what it still holds open, each second and at each change.",
  },
  {
    id: "proxy-metrics",
    address: subjects.proxy.metrics(proxy),
    from: "proxy",
    to: "leader",
    message: "proxy-metrics",
    summary:
      "What the proxy serves and carries, and its backends with state and counters, every 5 s and soon after a change.",
  },
  {
    id: "join-token",
    address: subjects.join.token,
    from: "client",
    to: "registrar",
    message: "join-token-request",
    reply: "join-token-reply",
    summary: "An operator asks for a join token; the key inside it is the asker's own.",
  },
  {
    id: "join-ask",
    address: subjects.join.ask("{token}"),
    from: "joiner",
    to: "registrar",
    message: "join-request",
    reply: "join-reply",
    summary: "Whoever holds the token asks to become a node or a proxy.",
  },
  {
    id: "endpoints-head",
    address: subjects.endpoints("{namespace}", "{service}").replace("*", "head"),
    from: "leader",
    to: "proxy",
    message: "endpoints-head",
    summary: "The endpoints bucket, republished: what a proxy must know of a service.",
  },
  {
    id: "endpoints-shard",
    address: subjects.endpoints("{namespace}", "{service}").replace("*", "{shard}"),
    from: "leader",
    to: "proxy",
    message: "endpoints-shard",
    summary: "The endpoints bucket, republished: some of the service's endpoints.",
  },
];
