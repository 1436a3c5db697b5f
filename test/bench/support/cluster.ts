// What the benches of a whole cluster share: its bus, its API, and waiting in steps finer than the tests need.
import { connectBus } from "../../../services/bus/connect.ts";
import type { Bus } from "../../../services/bus/port.ts";
import { subjectsOf } from "../../../services/bus/subjects.ts";
import { silent } from "../../../services/kernel/log.ts";
import { systemClock } from "../../../services/kernel/node/clock.ts";
import { systemRandom } from "../../../services/kernel/node/ids.ts";
import type { Cluster } from "../../support/cluster.ts";

const subjects = subjectsOf("default");

/** A connection as the operator, with the API behind one call. */
export class Operator {
  readonly bus: Bus;
  private counter = 0;

  private constructor(bus: Bus) {
    this.bus = bus;
  }

  static async of(cluster: Cluster): Promise<Operator> {
    const ports = { clock: systemClock, random: systemRandom, log: silent };
    const creds = cluster.creds("operator");
    return new Operator(
      await connectBus({ servers: cluster.server, name: "bench", creds, cluster: "default", ...ports }),
    );
  }

  async ask<T = Record<string, unknown>>(resource: string, verb: string, body: object): Promise<T> {
    const subject = subjects.api("default", resource, verb);
    const answer = (await this.bus.request(subject, body, { timeoutMs: 10_000 })).json() as T & { error?: unknown };
    if (answer.error !== undefined) throw new Error(`${resource}.${verb}: ${JSON.stringify(answer.error)}`);
    return answer;
  }

  /** A change with an operation id of its own. */
  change(resource: string, verb: string, body: object): Promise<Record<string, unknown>> {
    this.counter += 1;
    return this.ask(resource, verb, { operation: `bench-operation-${this.counter}-${Date.now()}`, ...body });
  }

  /** Ready pods of a workload; 0 when it is not there. */
  async ready(name: string): Promise<number> {
    const { items } = await this.ask<{ items: { status: { ready: number } }[] }>("workload", "get", { name });
    return items[0]?.status.ready ?? 0;
  }

  async gone(name: string): Promise<boolean> {
    const { items } = await this.ask<{ items: { metadata: { name: string } }[] }>("workload", "list", {});
    return !items.some((item) => item.metadata.name === name);
  }
}

/** Milliseconds until `done` says so, asked every `everyMs`. Throws after `ms`. */
export async function timed(done: () => Promise<boolean>, ms = 120_000, everyMs = 10): Promise<number> {
  const began = performance.now();
  while (!(await done())) {
    if (performance.now() - began > ms) throw new Error(`not within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  return performance.now() - began;
}

/** Runs `work` for each of `count` numbers, at most `width` at a time. */
export async function inParallel(count: number, width: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker));
}
