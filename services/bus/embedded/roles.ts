// Who may say what on the bus: the one table of roles. The embedded server's users are made from it, and whoever runs a
// nats-server of their own copies it from the configuration file written under `--data`.
//
// Only allow-lists: servers had faults around deny rules. Inside one account this keeps honest parts apart and stops a node
// from reaching beyond itself; whoever holds any JetStream right is trusted, since the server sends JetStream answers to any
// subject the asker names. Hence agents have none.
import { join } from "node:path";
import { subjectsOf } from "../subjects.ts";
import type { Subjects } from "../subjects.ts";

/** A part of another machine, each with a key of its own. */
export type JoinedRole = `agent-${string}` | `proxy-${string}`;

/**
 * A user of the bus. `nodes` may act for every node: for one process that simulates many. `registrar` is the supervisor of
 * `swain up`, which lets machines join; `join-<id>` is whoever holds that token.
 */
export type Role = "controller" | "operator" | "proxy" | "nodes" | "registrar" | JoinedRole | `join-${string}`;

/** Where the seed of a role lies in the folder of keys. */
export function seedFile(folder: string, role: Role): string {
  return join(folder, `${role}.nk`);
}

/** Subjects a role may publish to and subscribe to; nothing else. */
export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/** What the role may do in that cluster. */
export function permissionsOf(role: Role, cluster: string): Permissions {
  const subjects = subjectsOf(cluster);
  switch (role) {
    case "controller":
      return controller(subjects);
    case "operator":
      return operator(subjects);
    case "proxy":
      return proxy(subjects, "*");
    case "registrar":
      return registrar(subjects);
    default:
      if (role.startsWith("proxy-")) return proxy(subjects, role.slice("proxy-".length));
      if (role.startsWith("join-")) return joiner(subjects, role.slice("join-".length));
      // There is no `allow_responses`: a node could send itself a message with any reply subject, and the server would
      // then let it publish there. Requests to a node therefore carry a reply subject under that node's inbox.
      return agent(subjects, role === "nodes" ? "*" : role.slice("agent-".length));
  }
}

function controller(subjects: Subjects): Permissions {
  const all = `${subjects.root}.>`;
  return {
    publish: [all, "_INBOX.>", "$JS.API.>", "$JS.ACK.>", "$JS.FC.>", ...bucketSubjects(subjects)],
    subscribe: [all, "_INBOX.>", "$SRV.>", "$JS.EVENT.ADVISORY.>", ...bucketSubjects(subjects)],
  };
}

function agent(subjects: Subjects, node: string): Permissions {
  const own = subjects.node.all(node);
  return { publish: [own], subscribe: [own, subjects.leader] };
}

/** Hears who wants to join, which nodes were removed, and whether their agents know it; it keeps the users, and has no part in what runs. */
function registrar(subjects: Subjects): Permissions {
  return {
    publish: [`${subjects.join.inbox("*")}>`, "_INBOX.>", subjects.api("_", "event", "list")],
    subscribe: [
      subjects.join.ask("*"),
      subjects.join.token,
      subjects.feed(undefined, "node", "*", "removed"),
      subjects.node.heartbeat("*"),
      `${registrarInbox}.>`,
    ],
  };
}

/** Where the registrar hears its answers: nobody but operators may listen there. */
export const registrarInbox = "_INBOX.registrar";

/** May ask to join, and nothing else. */
function joiner(subjects: Subjects, token: string): Permissions {
  return { publish: [subjects.join.ask(token)], subscribe: [`${subjects.join.inbox(token)}>`] };
}

function proxy(subjects: Subjects, id: string): Permissions {
  const own = subjects.proxy.all(id);
  return {
    publish: [own, "$JS.API.INFO", ...readStream(`KV_${subjects.buckets.endpoints}`)],
    subscribe: [own, subjects.leader, subjects.endpointsAll],
  };
}

function operator(subjects: Subjects): Permissions {
  const streams = [
    subjects.stream,
    subjects.snapshots,
    ...Object.values(subjects.buckets).map((bucket) => `KV_${bucket}`),
  ];
  return {
    publish: [
      subjects.apiAll,
      subjects.join.token,
      subjects.node.command("*", "logs-credit"),
      // What a program reads is of a session that the leader opened: the agent knows no other.
      subjects.node.execInput("*", "*"),
      "$SRV.>",
      "$JS.API.INFO",
      "$JS.API.STREAM.NAMES",
      "$JS.API.STREAM.LIST",
      ...streams.flatMap(readStream),
    ],
    subscribe: [
      "_INBOX.>",
      subjects.feedAll,
      subjects.eventAll,
      subjects.leader,
      subjects.endpointsAll,
      subjects.node.log("*", "*"),
      subjects.node.execOutput("*", "*"),
      subjects.node.heartbeat("*"),
      subjects.node.metrics("*"),
      subjects.proxy.heartbeat("*"),
      subjects.proxy.metrics("*"),
      ...bucketSubjects(subjects),
    ],
  };
}

function bucketSubjects(subjects: Subjects): string[] {
  return Object.values(subjects.buckets).map((bucket) => `$KV.${bucket}.>`);
}

/** What reading one stream or bucket takes: information, single messages, and consumers of one's own. */
function readStream(stream: string): string[] {
  return [
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.STREAM.MSG.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}.>`,
    `$JS.API.CONSUMER.CREATE.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}.>`,
    `$JS.API.CONSUMER.INFO.${stream}.*`,
    `$JS.API.CONSUMER.DELETE.${stream}.*`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
    `$JS.API.CONSUMER.NAMES.${stream}`,
    `$JS.API.CONSUMER.LIST.${stream}`,
    ...["$JS.ACK", "$JS.FC"].flatMap((root) => [
      `${root}.${stream}.>`,
      // Servers of a later version have domain and account before the stream.
      `${root}.*.*.${stream}.>`,
    ]),
  ];
}
