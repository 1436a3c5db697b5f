// A simulated server on virtual time with the streams of a cluster, for tests of the simulated bus.
import type { Bus, LogRecord } from "../../services/bus/port.ts";
import { ensureStreams } from "../../services/bus/streams.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import type { SimBus } from "../simulation/bus/client.ts";
import { Link } from "../simulation/bus/link.ts";
import { SimServer } from "../simulation/bus/server.ts";
import type { ServerOptions } from "../simulation/bus/server.ts";
import { bytes, codeOf, fresh } from "./bus-world.ts";
import { ProcessTime, seeded, TestTime } from "./sim-time.ts";

export const names = subjectsOf("test");
const eventSubject = names.event("pod", "default", "web-1", "placed");

/** A client process with its bus. */
export interface Client {
  readonly bus: SimBus;
  readonly link: Link;
  readonly clock: ProcessTime;
}

export class SimWorld {
  readonly time = new TestTime();
  readonly server: SimServer;
  private readonly seed: number;
  private readonly replicas: number;

  private constructor(options: Partial<ServerOptions>, seed: number) {
    this.seed = seed;
    this.replicas = options.servers ?? 1;
    const ports = { clock: this.time, random: seeded(seed) };
    this.server = new SimServer({ ...ports, synced: true, cluster: "test", ...options });
  }

  static async open(options: Partial<ServerOptions> = {}, seed = 1): Promise<SimWorld> {
    const world = new SimWorld(options, seed);
    await world.ensure();
    return world;
  }

  /** Makes the streams, as a controller does when it starts. */
  async ensure(): Promise<void> {
    const { bus } = await this.client();
    await this.time.until(ensureStreams(bus, "test", { replicas: this.replicas }));
    await this.time.until(bus.close());
  }

  async client(link = new Link(), name = "client", inboxPrefix = "_INBOX"): Promise<Client> {
    const clock = new ProcessTime(this.time);
    const random = seeded(this.seed + 1);
    const connecting = this.server.connect({ clock, random, name, link, inboxPrefix });
    return { bus: await this.time.until(connecting), link, clock };
  }

  append(bus: Bus, expectedSequence: number, value: unknown = "x"): Promise<number> {
    const options = { expectedSequence, messageId: fresh(), timeoutMs: 2000 };
    return bus.log(names.stream).append(eventSubject, bytes(value), options);
  }

  /** Appends until the log is that long. */
  async fill(bus: Bus, from: number, to: number): Promise<void> {
    for (let at = from; at < to; at += 1) await this.time.until(this.append(bus, at));
  }

  async last(bus: Bus): Promise<number> {
    return (await this.time.until(bus.log(names.stream).tail())).last;
  }

  record(bus: Bus, sequence: number): Promise<LogRecord | null> {
    return this.time.until(bus.log(names.stream).get(sequence));
  }

  code(work: Promise<unknown>): Promise<string> {
    return this.time.until(codeOf(work));
  }

  /** What a subscriber hears, in order. */
  async hear(bus: Bus, subject: string): Promise<unknown[]> {
    const heard: unknown[] = [];
    bus.subscribe(subject, (message) => heard.push(message.json()));
    await this.time.until(bus.flush(5000));
    return heard;
  }

  follow(bus: Bus) {
    const sequences: number[] = [];
    const broken: unknown[] = [];
    const told = { sequences, broken };
    bus.log(names.stream).follow(
      1,
      ({ sequence }) => sequences.push(sequence),
      (tail) => broken.push(tail),
    );
    return told;
  }
}

export const oneTo = (last: number): number[] => Array.from({ length: last }, (_, n) => n + 1);
