// A program on no node that registers itself behind a service, as any client of the bus may: it renews, falls silent, leaves,
// and comes back behind another service. Its connection breaks now and then.
import { answerOf } from "../../../cli/client.ts";
import type { Accepted } from "../../../schemas/generated/types.ts";
import type { Bus } from "../../../services/bus/port.ts";
import { subjectsOf } from "../../../services/bus/subjects.ts";
import { externalId } from "../../../services/core/model.ts";
import { asSwainError } from "../../../services/kernel/errors.ts";
import type { Chance } from "../chance.ts";
import type { Externals, Program } from "../externals.ts";
import type { Troubles } from "../troubles.ts";
import { fronted, portOf, workloadNames } from "../wishes.ts";
import type { Machine } from "./machine.ts";
import { Process } from "./process.ts";
import type { Run, Surroundings } from "./process.ts";

const ttls = [5000, 10_000, 30_000] as const;
/** A renewal is due so many times in a ttl. */
const share = 3;
const answerMs = 2000;
const retryMs = 500;
/** Renewals until it does something else. */
const renewals = [3, 40] as const;
/** Longer than a ttl may take to be over, when it stays silent. */
const silentMs = [5000, 40_000] as const;
/** Least and most time between two breaks, and that each lasts. */
const everyMs = [90_000, 600_000] as const;
const goneMs = [500, 20_000] as const;
/** So often it tries to leave. */
const mostTries = 5;

export class ExternalProcess extends Process {
  readonly machine: Machine;
  private readonly judge: Externals;
  private readonly troubles: Troubles;
  private readonly look: () => void;
  /** Whatever it does now it goes on with. */
  isResting = false;

  /** `look`: has the judge know what is in the log by now. */
  constructor(surroundings: Surroundings, machine: Machine, judge: Externals, troubles: Troubles, look: () => void) {
    super(surroundings, machine.name);
    this.machine = machine;
    this.judge = judge;
    this.troubles = troubles;
    this.look = look;
  }

  protected async quit(): Promise<void> {}

  protected async main(run: Run): Promise<void> {
    const { chance } = this.surroundings;
    const bus = await run.connect(`external ${this.name}`, this.machine.link());
    void this.breaks(run, chance.stream(`breaks of ${this.name}`));
    const luck = chance.stream(`program ${this.name}`);
    for (;;) {
      const program = this.program(luck);
      await this.serve(run, bus, program, luck);
      program.keepsSince = undefined;
      const draw = luck.unit();
      if (draw < 0.35) await this.leave(run, bus, program);
      if (draw < 0.8) await run.hop((draw < 0.35 ? 0 : program.ttlMs) + luck.between(...silentMs));
      if (draw > 0.95) await this.ask(bus, "service", "delete", { name: fronted, operation: run.ids.next() });
      while (this.isResting) await run.hop(retryMs);
    }
  }

  private program(luck: Chance): Program {
    const service = luck.hits(0.4) ? fronted : luck.pick(workloadNames);
    const id = externalId("default", service, this.name);
    return this.judge.begins(id, {
      service,
      ttlMs: luck.pick(ttls),
      addresses: [{ name: "http", host: this.machine.address, port: luck.whole(9000, 9003) }],
      place: this.name,
    });
  }

  /** Registers and renews, now and then as something else. */
  private async serve(run: Run, bus: Bus, program: Program, luck: Chance): Promise<void> {
    const wanted = luck.whole(...renewals);
    program.keepsSince = this.surroundings.timeline.now;
    for (let done = 0; done < wanted || this.isResting;) {
      const answer = await this.register(bus, program);
      if (answer === "NOT_FOUND" && program.service === fronted && !this.isResting) await this.front(run, bus);
      // Its service may be gone for long.
      if (answer === "NOT_FOUND" || answer === "INVALID_REQUEST") return;
      if (typeof answer === "string") {
        await run.hop(retryMs);
        continue;
      }
      done += 1;
      if (luck.hits(0.04) && !this.isResting) this.judge.changes(program, luck.pick(ttls), luck.whole(9000, 9003));
      else await run.hop(program.ttlMs / share);
    }
  }

  private async register(bus: Bus, program: Program): Promise<Accepted | string> {
    const { service, addresses, ttlMs } = program;
    const asked = this.judge.asks(program);
    const ttl = `${ttlMs / 1000}s`;
    const answer = await this.ask(bus, "endpoint", "register", { service, name: this.name, addresses, ttl });
    this.look();
    if (typeof answer !== "string") this.judge.answered(program, asked, answer);
    return answer;
  }

  private async leave(run: Run, bus: Bus, program: Program): Promise<void> {
    for (let tries = 0; tries < mostTries; tries += 1) {
      this.judge.leaves(program);
      const { service } = program;
      const answer = await this.ask(bus, "endpoint", "deregister", { service, name: this.name });
      if (typeof answer !== "string" || answer === "NOT_FOUND") return;
      await run.hop(retryMs);
    }
  }

  /** The service that stands for such programs alone. */
  private async front(run: Run, bus: Bus): Promise<void> {
    const spec = { ports: [{ port: portOf(fronted), targetPort: "http" }] };
    const document = { apiVersion: "swain/v1", kind: "Service", metadata: { name: fronted }, spec };
    await this.ask(bus, "manifest", "apply", { documents: [document], operation: run.ids.next() });
  }

  /** What it is told, or the code of the refusal. */
  private async ask(bus: Bus, resource: string, verb: string, body: object): Promise<Accepted | string> {
    const namespace = resource === "manifest" ? "_" : "default";
    const subject = subjectsOf(this.surroundings.cluster).api(namespace, resource, verb);
    try {
      return answerOf(await bus.request(subject, body, { timeoutMs: answerMs })) as unknown as Accepted;
    } catch (error) {
      return asSwainError(error).code;
    }
  }

  private async breaks(run: Run, luck: Chance): Promise<void> {
    for (;;) {
      await run.hop(luck.between(...everyMs));
      if (this.isResting) return;
      const over = this.troubles.begin(this.name, "cut");
      this.machine.pass({ up: false, down: false });
      if (luck.hits(0.5)) for (const link of this.machine.links) link.reset();
      await run.hop(luck.between(...goneMs));
      this.machine.pass({ up: true, down: true });
      over();
    }
  }
}
