// Controllers, an agent that only talks, and a client, for tests of the controller against a real server.
import type {
  Accepted,
  ApiError,
  Assign,
  AssignedPod,
  LeaderBeat,
  ListReply,
  NodeFacts,
  PodReport,
} from "../../schemas/generated/types.ts";
import type { Bus, BusMessage } from "../../services/bus/port.ts";
import { respond } from "../../services/bus/respond.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { Controller } from "../../services/controller/controller.ts";
import { noCounts } from "../../services/controller/counters.ts";
import { noMeasures } from "../../services/controller/figures.ts";
import type { Counters } from "../../services/controller/counters.ts";
import type { Context } from "../../services/controller/ports.ts";
import { snapshotPolicy } from "../../services/controller/snapshot/policy.ts";
import { systemPacking } from "../../services/kernel/node/packing.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemIds, systemRandom } from "../../services/kernel/node/ids.ts";
import type { RealWorld } from "./bus.ts";
import { facts } from "./core.ts";
import { inlineSnapshotter } from "./snapshots.ts";

/** Waits for a condition; fails after `ms` with what was waited for. */
export async function until<T>(
  what: string,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
  ms = 15_000,
): Promise<T> {
  const end = Date.now() + ms;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`waited ${ms} ms for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export interface TestController {
  readonly controller: Controller;
  readonly counters: Counters;
  readonly bus: Bus;
}

/** Starts a controller on a connection of its own. */
export async function startTestController(
  world: RealWorld,
  id: string,
  over: Partial<Context> = {},
): Promise<TestController> {
  const bus = await world.connect({ name: `controller ${id}` });
  const counters = noCounts();
  const controller = await Controller.start({
    clock: systemClock,
    ids: systemIds,
    random: systemRandom,
    log: silent,
    bus,
    cluster: world.cluster,
    id,
    subjects: subjectsOf(world.cluster),
    counters,
    measures: noMeasures(),
    packing: systemPacking,
    snapshotter: inlineSnapshotter(bus, world.cluster),
    policy: snapshotPolicy,
    ...over,
  });
  return { controller, counters, bus };
}

/** What `swain` does, without its looks. */
export class TestClient {
  readonly bus: Bus;
  readonly subjects: ReturnType<typeof subjectsOf>;

  constructor(bus: Bus, cluster: string) {
    this.bus = bus;
    this.subjects = subjectsOf(cluster);
  }

  /** The answer's body, whether it is an error or not. */
  async ask<T>(namespace: string, resource: string, verb: string, body: unknown): Promise<T> {
    const subject = this.subjects.api(namespace, resource, verb);
    return (await this.bus.request(subject, body, { timeoutMs: 5000 })).json() as T;
  }

  apply(documents: readonly unknown[], operation = systemIds.next()): Promise<Accepted & Partial<ApiError>> {
    return this.ask("_", "manifest", "apply", { operation, documents });
  }

  async list<T>(resource: string, namespace = "_"): Promise<T[]> {
    const reply = await this.ask<Partial<ListReply>>(namespace, resource, "list", {});
    // A leader that is not sure of itself answers with an error.
    if (reply.items === undefined) throw new Error(`no list of ${resource}: ${JSON.stringify(reply)}`);
    return reply.items as T[];
  }

  status(): Promise<Record<string, unknown>> {
    return this.ask("_", "cluster", "status", {});
  }

  /** Waits until someone answers, and says who leads. */
  leader(ms = 15_000): Promise<string> {
    return until(
      "a leader that answers",
      async () => {
        const status = await this.status().catch(() => undefined);
        return typeof status?.["leader"] === "string" ? status["leader"] : undefined;
      },
      ms,
    );
  }

  beats(): LeaderBeat[] {
    const heard: LeaderBeat[] = [];
    this.bus.subscribe(this.subjects.leader, (message) => heard.push(message.json() as LeaderBeat));
    return heard;
  }
}

/** An agent that says every pod it is given is ready at once, and stopped when told to stop. */
export class TestAgent {
  readonly id: string;
  readonly pods = new Map<string, AssignedPod>();
  readonly assigns: Assign[] = [];
  generation = 0;
  logId = "";
  facts: NodeFacts;
  /** False: hears everything and does nothing. */
  obedient = true;
  /** Where it says that its pods are reached. */
  hostPort = 30_000;
  private readonly bus: Bus;
  private readonly subjects: ReturnType<typeof subjectsOf>;
  private readonly bootId = systemIds.next();
  private sequence = 0;
  private timer: NodeJS.Timeout | undefined;
  private work: Promise<void> = Promise.resolve();

  private constructor(bus: Bus, cluster: string, id: string) {
    this.bus = bus;
    this.subjects = subjectsOf(cluster);
    this.id = id;
    this.facts = facts({ hostname: id, host: id });
  }

  static async start(world: RealWorld, id: string): Promise<TestAgent> {
    const { node } = subjectsOf(world.cluster);
    const bus = await world.connect({ name: `agent ${id}`, inboxPrefix: node.inbox(id) });
    const agent = new TestAgent(bus, world.cluster, id);
    bus.subscribe(node.command(id, "assign"), (message) => agent.onAssign(message));
    bus.subscribe(node.command(id, "ping"), (message) =>
      agent.reply(message, { logId: agent.logId, held: agent.generation }),
    );
    agent.timer = setInterval(() => agent.beat(), 300);
    agent.beat();
    return agent;
  }

  /** Falls silent without a word. */
  async vanish(): Promise<void> {
    clearInterval(this.timer);
    await this.bus.close();
  }

  async report(pods: readonly PodReport[]): Promise<unknown> {
    this.sequence++;
    const { bootId, sequence, logId } = this;
    const subject = this.subjects.node.report(this.id);
    return (await this.bus.request(subject, { bootId, sequence, logId, pods }, { timeoutMs: 5000 })).json();
  }

  beat(): void {
    const { bootId, logId, generation } = this;
    this.bus.publish(this.subjects.node.heartbeat(this.id), { bootId, logId, generation, facts: this.facts });
  }

  private reply(message: BusMessage, value: unknown): void {
    respond(this.bus, message, this.subjects.node.inbox(this.id), value);
  }

  private onAssign(message: BusMessage): void {
    const assign = message.json() as Assign;
    this.assigns.push(assign);
    const fits = assign.base === this.generation && (this.logId === "" || this.logId === assign.logId);
    if (fits && assign.generation !== assign.base) this.take(assign, assign.base === 0);
    this.reply(message, { logId: assign.logId, held: this.generation });
    if (!fits) this.run(() => this.sync());
  }

  private async sync(): Promise<void> {
    let after: string | undefined;
    const pages: Assign[] = [];
    do {
      const body = { logId: this.logId, generation: this.generation, ...(after === undefined ? {} : { after }) };
      const page = (
        await this.bus.request(this.subjects.node.sync(this.id), body, { timeoutMs: 5000 })
      ).json() as Assign;
      pages.push(page);
      after = page.next;
    } while (after !== undefined);
    const [first] = pages;
    if (first !== undefined) this.take({ ...first, items: pages.flatMap(({ items }) => items) }, true);
  }

  private take(assign: Assign, whole: boolean): void {
    if (whole) this.pods.clear();
    this.logId = assign.logId;
    this.generation = assign.generation;
    for (const key of assign.gone) this.pods.delete(key);
    for (const pod of assign.items) this.pods.set(`${pod.namespace}/${pod.name}`, pod);
    if (this.obedient) this.run(() => this.obey());
  }

  private async obey(): Promise<void> {
    const reports = [...this.pods.values()].map((pod): PodReport => ({
      namespace: pod.namespace,
      name: pod.name,
      state: pod.desired === "stop" ? "stopped" : "ready",
      observed: {
        reason: "",
        message: "",
        restarts: 0,
        addresses: [{ name: "http", containerPort: 80, host: "127.0.0.1", hostPort: this.hostPort }],
      },
    }));
    if (reports.length > 0) await this.report(reports);
  }

  private run(work: () => Promise<void>): void {
    // A test that is over takes the connection away under it.
    this.work = this.work.then(work).catch(() => {});
  }
}
