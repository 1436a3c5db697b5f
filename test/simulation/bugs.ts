// Deliberate bugs: what the simulation must find. Each replaces a place of the compiled program; the program itself has no
// switch for them.
import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answerBugs } from "./answer-bugs.ts";
import { outsideBugs } from "./outside-bugs.ts";
import { workloadBugs } from "./workload-bugs.ts";

export interface Bug {
  readonly name: string;
  /** Below `services/`, without its ending. */
  readonly file: string;
  /** One place, or some that only together hold what is taken out. */
  readonly find: string | readonly string[];
  readonly replace: string;
  /** What worlds with it have to violate first, any of these; one that violates something else first has not found it. */
  readonly invariants: readonly string[];
  /** Within so much cluster time of worlds of twelve minutes, hours: seven times what it took on average, and a quarter of an hour at least. */
  readonly hours: number;
  /** It shows where a power cut takes what was not synced. */
  readonly unsynced?: boolean;
}

export const bugs: readonly Bug[] = [
  {
    name: "no expected sequence",
    file: "bus/log",
    find: "expect: { streamName: this.stream, lastSequence }",
    replace: "expect: { streamName: this.stream }",
    invariants: ["8"],
    hours: 8,
  },
  {
    name: "ack before append",
    file: "controller/term/changes",
    find: "const written = await writer.write(",
    replace: `if (passed.length > 0) change.resolve(this.remember(change.operation, this.state.sequence + 1, results));
        const written = await writer.write(`,
    invariants: ["1"],
    hours: 0.25,
  },
  {
    name: "an election read by a look that failed",
    file: "controller/term/term",
    find: `log.warn("the log's tail could not be verified"`,
    replace: `this.writer.written = this.state.accepted;
            log.warn("the log's tail could not be verified"`,
    invariants: ["term"],
    hours: 200,
  },
  {
    name: "an unsettled append taken as failed",
    file: "controller/append",
    find: "const look = isIn",
    replace: `if (answer === "unknown") return { kind: "full" };
            const look = isIn`,
    invariants: ["1"],
    hours: 15,
  },
  {
    name: "a stale projection overwrites",
    file: "controller/project/projector",
    find: "const value = projection(this.state, name, key);\n            const revision",
    replace: `const older = (this.older ??= new Map());
            const value = older.get(key) ?? projection(this.state, name, key);
            older.set(key, projection(this.state, name, key));
            const revision`,
    invariants: ["7"],
    hours: 0.5,
  },
  {
    name: "generation check skipped",
    file: "agent/assignment",
    find: "if (message.generation < held.generation && !isLost)",
    replace: "if (message.generation < 0)",
    invariants: ["6"],
    hours: 3,
  },
  {
    name: "log id ignored",
    file: "core/fold/fold",
    find: "return logId === state.logId && epoch === (election ? sequence : state.epoch);",
    replace: "return true;",
    invariants: ["8"],
    hours: 4,
  },
  {
    name: "expiry without ping",
    file: "controller/nodes/liveness",
    find: "const answers = await Promise.all(still.map((id) => this.ping(id)));",
    replace: "const answers = still.map(() => false);",
    invariants: ["liveness"],
    hours: 8,
  },
  {
    name: "expiry without flush",
    file: "controller/nodes/liveness",
    find: "await this.context.bus.flush(limits.silencePingMs);",
    replace: "await Promise.resolve();",
    invariants: ["liveness"],
    hours: 8,
  },
  {
    name: "a pod that its service left is stopped at once",
    file: "core/plan/stop",
    find: "(state.workloads.get(pod.workload)?.formerServices.size ?? 0) > 0",
    replace: "false",
    invariants: ["7"],
    hours: 1,
  },
  {
    name: "late return forgotten",
    file: "core/admit/report",
    find: "const leaving = ",
    replace: `if (pod.state === "lost") return [];
    const leaving = `,
    invariants: ["liveness", "4"],
    hours: 4,
  },
  {
    name: "port reused early",
    file: "core/transitions",
    find: "return pod.node !== null && !pod.ended;",
    replace: `return pod.node !== null && !pod.ended && pod.desired !== "stop";`,
    invariants: ["3", "9"],
    hours: 2,
  },
  {
    name: "act before ack",
    file: "controller/term/writer",
    find: "const settled = await traced(",
    replace: `const { appender } = this;
        const data = new TextEncoder().encode(JSON.stringify(draft.event));
        const expectedSequence = appender.expected;
        const early = appender.ledger.fold(expectedSequence + 1, data);
        appender.expected = expectedSequence + 1;
        const options = { expectedSequence, messageId: draft.event.id, timeoutMs: 2000 };
        appender.log.append(draft.subject, data, options).catch(() => {});
        const settled = await ((first) => ({ kind: "committed", sequence: first, folded: early }))(expectedSequence + 1,`,
    invariants: ["1", "8"],
    hours: 0.25,
  },
  {
    name: "replay skips a batch item",
    file: "controller/ledger",
    find: "                        this.fold(record.sequence, record.data);",
    replace: `{
                        const event = parseJson(record.data);
                        if (event?.items?.length > 1 && event.cause !== "election") event.items.pop();
                        this.fold(record.sequence, new TextEncoder().encode(JSON.stringify(event)));
                    }`,
    invariants: ["3", "8"],
    hours: 1,
  },
  {
    name: "drained before proxies acked",
    file: "core/plan/drain",
    find: "if (wait > 0)",
    replace: "if (wait > Infinity)",
    invariants: ["7"],
    hours: 0.25,
  },
  {
    name: "operation id forgotten at takeover",
    file: "controller/term/changes",
    find: "const sequence = this.state.operations.get(operation);",
    replace: "const sequence = undefined;",
    invariants: ["1"],
    hours: 0.5,
  },
  {
    name: "a deposed leader goes on",
    file: "core/fold/fold",
    find: "epoch === (election ? sequence : state.epoch);",
    replace: "(election ? epoch === sequence : epoch <= state.epoch);",
    invariants: ["8"],
    hours: 10,
  },
  {
    name: "the own stall is the nodes' fault",
    file: "controller/term/guard",
    find: "if (ms > 0)\n            this.events.onExcuse(ms);",
    replace: "void ms;",
    invariants: ["liveness"],
    hours: 5,
  },
  {
    name: "a server that gives no sign of life is believed",
    file: "controller/term/guard",
    find: "void this.reach()",
    replace: "(this.reachedAt = this.context.clock.mono())",
    invariants: ["7"],
    hours: 20,
  },
  {
    name: "mass loss is not held",
    file: "core/plan/liveness",
    find: "const held = silent.length >= 2 &&",
    replace: "const held = silent.length < 0 &&",
    invariants: ["liveness"],
    hours: 3,
  },
  {
    name: "a pod is stopped that its node was not told to stop",
    file: "agent/assignment",
    find: "const rest = new Map(held.items);",
    replace: "const rest = new Map();",
    invariants: ["10"],
    hours: 0.25,
  },
  {
    name: "a journal restarts a fenced pod",
    file: "agent/pod/fence",
    find: "if (leaseMs === undefined)",
    replace: "if (leaseMs === undefined || lease.grantedAt === null)",
    invariants: ["fence"],
    hours: 5,
  },
  {
    name: "an old report counts",
    file: "agent/reporter",
    find: "if (this.waiting.get(key) === pod)\n                    this.waiting.delete(key);",
    replace: "this.waiting.delete(key);",
    invariants: ["liveness", "4"],
    hours: 8,
  },
  {
    name: "a watch that lost its consumer stays silent",
    file: "bus/consumer",
    find: "if (this.silent > silentTicks)",
    replace: "if (this.silent < 0)",
    invariants: ["7"],
    hours: 3,
  },
  {
    name: "a gap in what a consumer sends is not noticed",
    file: "bus/consumer",
    find: "position.delivery !== this.received + 1",
    replace: "position.delivery < 0",
    invariants: ["7"],
    hours: 8,
  },
  {
    name: "a copy that is behind is believed",
    file: "bus/consumer",
    find: "this.target = isEmpty ? 0 :",
    replace: "this.target = isEmpty || true ? 0 :",
    invariants: ["8"],
    hours: 4,
  },
  {
    name: "an event of a later version is skipped",
    file: "core/fold/fold",
    find: 'return { outcome: "unknown", touched };',
    replace: `{
            state.accepted = record.sequence;
            state.lastEventId = record.event.id;
            return { outcome: "accepted", touched, event: record.event };
        }`,
    invariants: ["3", "8"],
    hours: 20,
  },
  {
    name: "a silent node is called so after twelve seconds",
    file: "controller/nodes/liveness",
    find: "return this.silence(entry) >= limits.nodeUnheardMs;",
    replace: "return this.silence(entry) >= 3 * limits.nodeUnheardMs;",
    invariants: ["late"],
    hours: 1,
  },
  {
    name: "pods are given up a minute late",
    file: "core/plan/liveness",
    find: "const left = remaining(",
    replace: "const left = 60_000 + remaining(",
    invariants: ["late"],
    hours: 8,
  },
  {
    name: "standbys wait half a minute for a leader",
    file: "bus/limits",
    find: "leaderSilentMs: 2500,",
    replace: "leaderSilentMs: 30_000,",
    invariants: ["late"],
    hours: 1,
  },
  ...outsideBugs,
  ...answerBugs,
  ...workloadBugs,
  {
    name: "a restart budget comes back after ten minutes",
    file: "agent/bounds",
    find: "stableMs: 60_000,",
    replace: "stableMs: 600_000,",
    invariants: ["14"],
    hours: 5,
  },
  {
    name: "restarts come at once",
    file: "agent/pod/restart",
    find: "return spent <= 1 ? 0 : delayMs(restartBackoff, spent - 2);",
    replace: "return 0;",
    invariants: ["14"],
    hours: 12,
  },
  {
    name: "the feed is silent",
    file: "controller/term/feed",
    find: "of feedEvents(cluster, sequence, event)",
    replace: "of []",
    invariants: ["8"],
    hours: 0.5,
  },
  {
    name: "the feed leaves out the second item of an event",
    file: "controller/term/feed",
    find: "for (const { kind, namespace, name, verb, value } of feedEvents(cluster, sequence, event)) {",
    replace:
      "for (const { kind, namespace, name, verb, value } of feedEvents(cluster, sequence, event).toSpliced(1, 1)) {",
    invariants: ["8"],
    hours: 0.25,
  },
  {
    name: "an empty log begins anew whatever is left of a cluster",
    file: "controller/remains",
    find: "if (left === null)",
    replace: "if (left !== undefined)",
    invariants: ["12"],
    hours: 36,
  },
  {
    name: "an agent holds on to what a lost end told it",
    file: "agent/assignment",
    find: "const isLost = isOfLostEnd(held, message);",
    replace: "const isLost = false;",
    invariants: ["2", "4"],
    hours: 10,
    unsynced: true,
  },
  {
    name: "a bucket that lost its end stays as it is",
    file: "controller/project/projector",
    find: "for (const [key, { revision, value }] of told) {",
    replace: "for (const [key, { revision, value }] of []) {",
    invariants: ["8"],
    hours: 35,
    unsynced: true,
  },
  {
    name: "a service whose deletion was lost stays deleted",
    file: "proxy/table",
    find: "if (part.sequence === known.sequence && !this.removed.has(key))",
    replace: "if (part.sequence === known.sequence)",
    invariants: ["7"],
    hours: 60,
    unsynced: true,
  },
  {
    name: "a log that lost its end while it was read is believed",
    file: "controller/ledger",
    find: ["if (end < last)", "if (next !== null)"],
    replace: "if (false)",
    invariants: ["8", "term"],
    hours: 45,
    unsynced: true,
  },
];

/** Modules of the simulation that judge: they use the program as it should be. */
const judges = [
  "answers",
  "clients",
  "contents",
  "externals",
  "feed",
  "nodes",
  "observer",
  "refold",
  "restarts",
  "room",
  "serving",
  "silence",
  "simulate",
] as const;

/** The program with the bug in it, below the folder that is returned. Throws when the place is not there exactly once. */
export function withBug(build: string, modules: string, bug: Bug): string {
  const folder = mkdtempSync(join(tmpdir(), "swain-sim-"));
  cpSync(build, folder, { recursive: true });
  symlinkSync(modules, join(folder, "node_modules"));
  for (const judge of judges) {
    const own = join(folder, "test/simulation", `${judge}.js`);
    writeFileSync(own, readFileSync(own, "utf8").replaceAll('"../../services/', `"${build}/services/`));
  }
  const path = join(folder, "services", `${bug.file}.js`);
  let text = readFileSync(path, "utf8");
  for (const find of [bug.find].flat()) {
    if (text.split(find).length !== 2) throw new Error(`"${bug.name}" has no single place in ${bug.file}`);
    text = text.replace(find, bug.replace);
  }
  writeFileSync(path, text);
  return folder;
}
