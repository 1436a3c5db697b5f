// A person or program that changes the cluster over the API: one change after another, as chance has it, each with an
// operation id that is kept to ask later what became of it. It has the CLI's own client, or asks as plain programs on the
// bus do: once.
import { answerOf, Client } from "../../../cli/client.ts";
import type { Accepted } from "../../../schemas/generated/types.ts";
import { subjectsOf } from "../../../services/bus/subjects.ts";
import { asSwainError, SwainError } from "../../../services/kernel/errors.ts";
import type { Logger } from "../../../services/kernel/log.ts";
import type { Wish } from "../wishes.ts";
import { sizes, wish } from "../wishes.ts";
import type { Machine } from "./machine.ts";
import { Process } from "./process.ts";
import type { Run, Surroundings } from "./process.ts";

export interface Answer {
  readonly operation: string;
  readonly wish: Wish;
  /** Milliseconds since the world began. */
  readonly askedAt: number;
  /** What the leader said; an error code when it refused or nobody answered. */
  readonly outcome: Accepted | string;
}

/** Longer than a leader takes for an answer. */
const plainMs = 15_000;
/** Of so many changes … */
const remembered = 20;
/** … one is asked for again now and then, under the operation it had: it must not happen twice. */
const repeatShare = 0.25;

export class OperatorProcess extends Process {
  readonly machine: Machine;
  private readonly onAnswer: (answer: Answer) => void;
  private readonly isPlain: boolean;
  /** Least and most time between two changes. */
  private readonly everyMs: readonly [number, number];
  /** Changes asked for. */
  asked = 0;
  isResting = false;
  private request: ((wanted: Wish, operation: string) => Promise<void>) | undefined;

  constructor(
    surroundings: Surroundings,
    machine: Machine,
    isPlain: boolean,
    everyMs: readonly [number, number],
    onAnswer: (answer: Answer) => void,
  ) {
    super(surroundings, machine.name);
    this.machine = machine;
    this.isPlain = isPlain;
    this.everyMs = everyMs;
    this.onAnswer = onAnswer;
  }

  /** Asks for these now, one after the other, whatever it wishes by itself. */
  async order(wishes: readonly Wish[]): Promise<void> {
    for (const wanted of wishes) if (this.run !== undefined) await this.request?.(wanted, this.run.ids.next());
  }

  /** Nobody stops people. */
  protected async quit(): Promise<void> {}

  protected async main(run: Run, log: Logger): Promise<void> {
    const { cluster, chance } = this.surroundings;
    const bus = await run.connect(`operator ${this.name}`, this.machine.link());
    const { clock, ids, random } = run;
    const client = new Client({ bus, cluster, clock, ids, random, signal: new AbortController().signal });
    const change = async ({ namespace, resource, verb, body }: Wish, operation: string): Promise<Accepted> => {
      const whole = { ...body, operation };
      if (!this.isPlain) return client.change(namespace, resource, verb, whole);
      const subject = subjectsOf(cluster).api(namespace, resource, verb);
      return answerOf(await bus.request(subject, whole, { timeoutMs: plainMs })) as unknown as Accepted;
    };
    this.request = async (wanted, operation) => {
      this.asked += 1;
      log.info("wishes", { operation, verb: `${wanted.resource}.${wanted.verb}`, body: JSON.stringify(wanted.body) });
      const askedAt = this.surroundings.timeline.now;
      const outcome = await change(wanted, operation).catch((error: unknown) =>
        error instanceof SwainError ? error.code : asSwainError(error).message,
      );
      if (!run.isAlive) return;
      log.info("is answered", { operation, outcome: typeof outcome === "string" ? outcome : outcome.sequence });
      this.onAnswer({ operation, wish: wanted, askedAt, outcome });
    };
    const size = chance.stream("sizes").pick(sizes);
    const luck = chance.stream(`wishes of ${this.name} ${this.asked}`);
    const asked: { readonly wanted: Wish; readonly operation: string }[] = [
      { wanted: wish(luck, size), operation: ids.next() },
    ];
    while (run.isAlive) {
      await run.hop(luck.between(...this.everyMs));
      if (this.isResting) continue;
      const again = luck.hits(repeatShare) ? luck.pick(asked) : undefined;
      const { wanted, operation } = again ?? { wanted: wish(luck, size), operation: ids.next() };
      if (again === undefined) asked.push({ wanted, operation });
      if (asked.length > remembered) asked.shift();
      await this.request(wanted, operation);
    }
  }
}
