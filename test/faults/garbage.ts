// Nonsense on every subject at which a part of Swain listens, and what became of it.
import { readFileSync } from "node:fs";
import { jetstream } from "@nats-io/jetstream";
import { connect, headers, nkeyAuthenticator } from "nats";
import type { NatsConnection } from "nats";
import { handlers } from "../../services/controller/api/table.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import type { Cluster } from "../support/cluster.ts";
import type { Chance } from "../simulation/chance.ts";

const subjects = subjectsOf("default");
/** How many of all messages go into the log, and into each bucket. */
const inLog = 500;
const inBucket = 20;
/** Requests under way at a time. */
const mostUnanswered = 200;
const answeredWithinMs = 20_000;

const noJson = ["{", "\u0000\u0001", '{"name":"tally","replicas":', "x".repeat(5000)];
const bodies = [...noJson, "", "null", "[]", '{"items":[]}', '{"generation":1e99}', '{"logId":7,"epoch":"9"}'];

type Counts = Record<"dropped" | "malformed" | "foreign", number>;

export interface Heard {
  /** Requests that must be answered, their answers that are errors with a code, and those that are none. */
  readonly asked: number;
  readonly refused: number;
  readonly taken: readonly string[];
  /** What the leader should have counted at least, and what it did. */
  readonly told: Counts;
  readonly counted: Counts;
}

interface Target {
  readonly subject: string;
  /** Where the answer is heard; without it nobody answers. */
  readonly inbox?: string;
  readonly bodies: readonly string[];
  /** As what the leader counts each. */
  readonly counted?: "dropped" | "malformed";
  readonly header?: readonly [string, string];
}

/** Publishes `count` messages with a controller's rights, which are the widest there are. */
export async function garbage(cluster: Cluster, nodes: readonly string[], count: number, by: Chance): Promise<Heard> {
  const seed = readFileSync(cluster.creds("controller"), "utf8").trim();
  const authenticator = nkeyAuthenticator(new TextEncoder().encode(seed));
  const bus = await connect({ servers: cluster.server, authenticator });
  try {
    const before = await counters(bus);
    const said = await say(bus, targets(nodes), count - inLog - inBucket * Object.keys(subjects.buckets).length, by);
    // Each controller counts for itself, and what strangers write into the log may cost a leader its lead.
    const heard = await counters(bus);
    await store(bus, by);
    const after = await counters(bus);
    const counted = {
      dropped: heard.dropped - before.dropped,
      malformed: heard.malformed - before.malformed,
      foreign: after.foreign - before.foreign,
    };
    return { ...said, told: { ...said.told, foreign: inLog }, counted };
  } finally {
    await bus.close();
  }
}

function targets(nodes: readonly string[]): Target[] {
  const ofNode = (node: string): Target[] => {
    const inbox = `${subjects.node.inbox(node)}garbage`;
    return [
      ...["assign", "logs", "exec", "no-verb"].map((verb) => ({
        subject: subjects.node.command(node, verb),
        inbox,
        bodies,
      })),
      ...["ping", "logs-credit"].map((verb) => ({ subject: subjects.node.command(node, verb), bodies })),
      { subject: subjects.node.report(node), inbox, bodies, counted: "malformed" },
      { subject: subjects.node.sync(node), inbox, bodies, counted: "malformed" },
      { subject: subjects.node.lease(node), bodies, counted: "malformed" },
      { subject: subjects.node.heartbeat(node), bodies, counted: "dropped" },
      { subject: subjects.node.metrics(node), bodies },
      { subject: subjects.node.execInput(node, "garbage"), bodies },
    ];
  };
  const verbs = [...handlers.keys(), "workload.no-verb", "no-resource.list"];
  return [
    ...nodes.flatMap(ofNode),
    ...verbs.map((name) => {
      const [resource = "", verb = ""] = name.split(".");
      const subject = subjects.api("default", resource, verb);
      return { subject, inbox: "_INBOX.garbage", bodies: noJson, counted: "malformed" as const };
    }),
    { subject: subjects.leader, bodies, counted: "dropped" },
    { subject: subjects.proxy.heartbeat("proxy-1"), bodies, counted: "dropped" },
    { subject: subjects.proxy.metrics("proxy-1"), bodies },
    // What a proxy takes for a change of its endpoints.
    { subject: subjects.endpoints("default", "tally").replace("*", "0"), bodies, header: ["Nats-Sequence", "9999999"] },
    { subject: subjects.endpoints("default", "tally").replace("*", "head"), bodies, header: ["Nats-Sequence", "-1"] },
    { subject: subjects.feed("default", "pod", "tally-1", "failed"), bodies },
  ];
}

async function say(
  bus: NatsConnection,
  all: readonly Target[],
  count: number,
  chance: Chance,
): Promise<Pick<Heard, "asked" | "refused" | "taken" | "told">> {
  const taken: string[] = [];
  const asked = new Map<string, string>();
  let refused = 0;
  const hear = (subject: string, data: string): void => {
    if (isError(data)) refused += 1;
    else taken.push(`${asked.get(subject)} → ${data}`);
    asked.delete(subject);
  };
  for (const subject of ["_INBOX.garbage.>", `${subjects.node.inbox("*")}garbage.>`]) {
    bus.subscribe(subject, { callback: (_error, message) => hear(message.subject, message.string()) });
  }
  const answered = async (most: number): Promise<void> => {
    const end = performance.now() + answeredWithinMs;
    while (asked.size > most && performance.now() < end) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  let questions = 0;
  const told = { dropped: 0, malformed: 0, foreign: 0 };
  for (let index = 0; index < count; index++) {
    const { subject, inbox, counted, header, bodies: own } = chance.pick(all);
    const body = chance.pick(own);
    const reply = inbox === undefined ? undefined : `${inbox}.${index}`;
    if (reply !== undefined) {
      questions += 1;
      asked.set(reply, `${subject} ${body.slice(0, 50)}`);
    }
    if (counted !== undefined) told[counted] += 1;
    const head = headers();
    if (header !== undefined) head.set(...header);
    bus.publish(subject, body, { ...(reply === undefined ? {} : { reply }), headers: head });
    // Faster than anybody reads it, the server would end connections for it, and no leader of a busy machine would be heard.
    if (index % 100 === 0) await bus.flush();
    if (asked.size > mostUnanswered) await answered(mostUnanswered / 2);
  }
  await answered(0);
  return {
    asked: questions,
    refused,
    taken: [...taken, ...[...asked.values()].map((one) => `${one}: no answer`)],
    told,
  };
}

/** Where the server keeps it: in the log, and as values of every bucket. */
async function store(bus: NatsConnection, chance: Chance): Promise<void> {
  const js = jetstream(bus);
  const event = subjects.event("workload", "default", "tally", "applied");
  for (let index = 0; index < inLog; index++) await js.publish(event, chance.pick(bodies));
  for (const bucket of Object.values(subjects.buckets)) {
    for (let index = 0; index < inBucket; index++) {
      const key = chance.pick([
        "default.tally.0",
        "default.tally",
        "tally",
        "node-1",
        "workload.default.tally",
        "garbage",
        // No keys, though below the bucket's subject.
        "garbage:0",
        "default.tally:0",
      ]);
      await js.publish(`$KV.${bucket}.${key}`, chance.pick(bodies));
    }
  }
}

function isError(text: string): boolean {
  try {
    return typeof (JSON.parse(text) as { error?: { code?: unknown } }).error?.code === "string";
  } catch {
    return false;
  }
}

async function counters(bus: NatsConnection): Promise<Counts> {
  const answer = await bus.request(subjects.api("_", "cluster", "status"), "{}", { timeout: 10_000 });
  return answer.json<{ counters: Counts }>().counters;
}
