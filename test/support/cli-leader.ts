// A leader that answers the API as a test tells it to, on a real server, and publishes to the feed.
import { connectTo } from "./bus.ts";
import { startServer, anyServer } from "./nats.ts";
import type { TestServer } from "./nats.ts";
import type { Bus, BusMessage } from "../../services/bus/port.ts";
import { respond, respondError } from "../../services/bus/respond.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { runCli, startCli } from "./cli.ts";
import type { CliOptions, CliResult, CliRun } from "./cli.ts";

export interface Asked {
  /** `default.pod.list` */
  readonly verb: string;
  readonly body: Readonly<Record<string, unknown>>;
}

type Answer = (body: Asked["body"]) => unknown;

export class FakeLeader {
  readonly subjects = subjectsOf("test");
  readonly asked: Asked[] = [];
  readonly server: TestServer;
  readonly bus: Bus;
  private cancel = (): void => {};
  private readonly answers = new Map<string, Answer>();

  private constructor(server: TestServer, bus: Bus) {
    this.server = server;
    this.bus = bus;
  }

  static async start(): Promise<FakeLeader> {
    const server = await startServer(anyServer(), { jetstream: false });
    try {
      const leader = new FakeLeader(server, await connectTo(server.url));
      await leader.lead();
      return leader;
    } catch (error) {
      await server.dispose();
      throw error;
    }
  }

  /** Answers; until `resign` ends it. */
  async lead(): Promise<void> {
    const take = async (message: BusMessage): Promise<void> => {
      const verb = message.subject.split(".").slice(3).join(".");
      const body = message.json() as Asked["body"];
      this.asked.push({ verb, body });
      try {
        const answer = this.answers.get(verb);
        if (answer === undefined) throw new SwainError("INVALID_REQUEST", `the test answers no ${verb}`);
        const value = await answer(body);
        if (value !== undefined) respond(this.bus, message, "_INBOX.", value);
      } catch (error) {
        respondError(this.bus, message, "_INBOX.", error as SwainError);
      }
    };
    this.cancel = this.bus.subscribe(this.subjects.apiAll, (message) => void take(message));
    await this.bus.flush(2000);
  }

  /** From now on nobody listens. */
  async resign(): Promise<void> {
    this.cancel();
    await this.bus.flush(2000);
  }

  /** Sets the answer to a verb; an error thrown is the answer, undefined is none at all; it may come later. */
  on(verb: string, answer: Answer): void {
    this.answers.set(verb, answer);
  }

  /** The same with the items of a list or a get. */
  items(verb: string, items: () => readonly unknown[]): void {
    this.on(verb, () => ({ epoch: 1, sequence: 1, items: items() }));
  }

  /** Publishes an item of an event to the feed. */
  feed(sequence: number, item: { kind: string; name: string; verb: string; namespace?: string }, epoch = 1): void {
    const subject = this.subjects.feed(item.namespace, item.kind, item.name, item.verb);
    this.bus.publish(subject, feedEvent(sequence, item, epoch));
  }

  bodies(verb: string): Asked["body"][] {
    return this.asked.filter((asked) => asked.verb === verb).map(({ body }) => body);
  }

  run(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
    return runCli([...args, "--server", this.server.url, "--cluster", "test"], options);
  }

  follow(args: readonly string[], options: CliOptions = {}): CliRun {
    return startCli([...args, "--server", this.server.url, "--cluster", "test"], options);
  }

  async close(): Promise<void> {
    await this.bus.close();
    await this.server.dispose();
  }
}

/** An event as the feed carries it. */
export function feedEvent(
  sequence: number,
  item: { kind: string; name: string; verb: string; namespace?: string },
  epoch = 1,
): Record<string, unknown> {
  return {
    specversion: "1.0",
    id: `log.${epoch}.${sequence}.0`,
    source: "swain/test",
    type: `swain.${item.kind}.${item.verb}`,
    subject: `${item.namespace ?? "_"}/${item.kind}/${item.name}`,
    time: new Date().toISOString(),
    datacontenttype: "application/json",
    sequence,
    index: 0,
    data: item,
  };
}

export function podObject(name: string, state: string, more: object = {}): Record<string, unknown> {
  return {
    apiVersion: "swain/v1",
    kind: "Pod",
    metadata: { name, namespace: "default", labels: {} },
    spec: { workload: "web", slot: 0, template: 1, node: "n1" },
    status: { state, since: 0, created: 0, reason: "", message: "", restarts: 0, possiblyRunning: false, ...more },
    logId: "log",
    sequence: 1,
  };
}

export function workloadObject(status: object): Record<string, unknown> {
  return {
    apiVersion: "swain/v1",
    kind: "Workload",
    metadata: { name: "web", namespace: "default", labels: {}, generation: 4 },
    spec: { restartPolicy: "Always", containers: [{ name: "web", image: "nginx" }] },
    status: { replicas: 2, pods: 2, ready: 0, updated: 2, phase: "progressing", reason: "", message: "", ...status },
    logId: "log",
    sequence: 1,
  };
}
