// How long a cluster is without a leader when the leader dies, and when it is stopped in order; and that one which stood
// still and wakes to find itself followed changes nothing any more. Every part is a process, every pod a program.
// SWAIN_TAKEOVERS sets how often, 5 by default.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ApiError, Assign } from "../../schemas/generated/types.ts";
import { until } from "../support/cluster.ts";
import { Fleet } from "../support/fleet.ts";
import { web } from "../support/manifests.ts";
import { anyServer, startServer } from "../support/nats.ts";
import type { TestServer } from "../support/nats.ts";
import { Notes } from "./notes.ts";

const times = Number(process.env["SWAIN_TAKEOVERS"] ?? 5);
/** Of a recording alone on its machine all but the slowest percent count; of a few, beside other tests, all but one. */
const share = times < 30 ? 0.8 : 0.99;
/** What that share may take, milliseconds. */
const bounds = { SIGKILL: 5000, SIGTERM: 1000 } as const;
/** Other tests end processes by the name of their pod: no other has pods of this name. */
const workload = "unruffled";
/** How long a leader stands still, at least. */
const sleepMs = 30_000;

interface Takeover {
  /** From the signal to the record that names the next leader. */
  readonly elected: number;
  /** From the signal until that leader acknowledged a change. */
  readonly changed: number;
}

/** The smallest of the samples that `share` of all of them do not exceed. */
function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

/** A fleet with three pods that are ready, and what runs of them. */
async function withPods(
  servers: string,
  name: string,
  controllers: number,
): Promise<{ fleet: Fleet; programs: Record<string, string[]> }> {
  const fleet = await Fleet.start({ servers, name: `${name}-${process.pid}`, controllers, agents: 1 });
  // Impatient, so that a leader which believed its own clock on waking would give up on the node.
  const documents = [web(workload, { replicas: 3, lostAfter: "5s" })];
  await fleet.client.change("_", "manifest", "apply", { documents });
  await until("the pods are ready", async () => {
    const pods = await fleet.pods();
    return pods.length === 3 && pods.every(({ status }) => status.state === "ready");
  });
  const programs = fleet.running(workload);
  expect(Object.values(programs).map((processes) => processes.length)).toEqual([1, 1, 1]);
  return { fleet, programs };
}

/** The same programs run, and the cluster knows of no restart. */
async function expectUntouched(fleet: Fleet, programs: Record<string, string[]>): Promise<void> {
  expect(fleet.running(workload)).toEqual(programs);
  const pods = (await fleet.pods()).map(({ metadata, status }) => [metadata.name, [status.state, status.restarts]]);
  expect(Object.fromEntries(pods)).toEqual(Object.fromEntries(Object.keys(programs).map((pod) => [pod, ["ready", 0]])));
}

const isStopped = (pid: number | undefined): boolean =>
  /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));

/** A leader that was stopped with SIGSTOP, and what was asked of it while it stood still. */
interface Sleeper {
  readonly id: string;
  readonly epoch: number;
  readonly since: number;
  readonly trapped: Promise<unknown>;
}

describe("standbys", () => {
  let server: TestServer;
  let fleet: Fleet;
  let programs: Record<string, string[]>;
  /** A cluster of its own, whose leader sleeps while those of the other come and go. */
  let sleepy: { readonly fleet: Fleet; readonly programs: Record<string, string[]> };
  let sleeper: Sleeper;
  let notes: Notes;
  const commands: Assign[] = [];

  /** Ends the leader, waits for the next and its first change, and starts the old one again as a standby. */
  const takeover = async (signal: keyof typeof bounds, port: number): Promise<Takeover> => {
    const { leader } = fleet.leader;
    const count = fleet.elections.length;
    const at = Date.now();
    notes.say({ kind: "ended", signal, leader });
    const ended = fleet.get(leader).stop(signal);
    const mark = async (number: number): Promise<number> => {
      const operation = fleet.client.ids.next();
      const sequence = await fleet.mark("mark", number, operation);
      notes.say({ kind: "acknowledged", operation, sequence });
      return sequence;
    };
    let acknowledged = await mark(port);
    const next = await until("another leads", async () => fleet.elections[count], 20_000, 5);
    // One that is stopped in order may still have taken the first.
    if (acknowledged < next.sequence) acknowledged = await mark(port + 1);
    const changed = Date.now() - at;
    expect(acknowledged).toBeGreaterThan(next.sequence);
    await ended;
    await fleet.controller(leader);
    // A standby that heard no leader yet is less patient than it will be.
    await fleet.beats(2);
    notes.say({ kind: "programs", running: fleet.running(workload) });
    await expectUntouched(fleet, programs);
    return { elected: next.time - at, changed };
  };

  const measure = async (signal: keyof typeof bounds): Promise<void> => {
    const seen: Takeover[] = [];
    for (let round = 0; round < times; round++) seen.push(await takeover(signal, 10_000 + 10 * round));
    for (const what of ["elected", "changed"] as const) {
      const samples = seen.map((one) => one[what]);
      const [half, most] = [quantile(samples, 0.5), quantile(samples, share)];
      const figures = `median ${half}, of ${100 * share} % at most ${most} (${samples.join(" ")})`;
      console.log(`${signal}, ms until ${what}, ${times} times: ${figures}`);
      expect(most, `${signal} ${what}`).toBeLessThan(bounds[signal]);
    }
  };

  beforeAll(async () => {
    server = await startServer(anyServer());
    const [awake, asleep] = await Promise.all([
      withPods(server.url, "takeover", 3),
      withPods(server.url, "sleeper", 2),
    ]);
    ({ fleet, programs } = awake);
    notes = new Notes("leaders", `nats-server ${server.version}`);
    notes.say({ kind: "programs", running: programs });
    sleepy = asleep;
    const { bus, subjects } = sleepy.fleet.client;
    bus.subscribe(subjects.node.command("*", "assign"), (message) => commands.push(message.json() as Assign));
  });
  afterAll(async () => {
    await notes?.keep("leaders", fleet);
    await Promise.all([fleet?.dispose(), sleepy?.fleet.dispose()]);
    await server?.dispose();
  });

  it("take over from a leader that stands still", async () => {
    const { elections, client, leader } = sleepy.fleet;
    const { bus, subjects, ids } = client;
    const { child } = sleepy.fleet.get(leader.leader);
    const count = elections.length;
    child.kill("SIGSTOP");
    await until("it stands still", async () => isStopped(child.pid), 5000, 5);
    const since = Date.now();
    // It alone listens, so this waits at it: acted on when it wakes, it would stop two pods.
    const body = { operation: ids.next(), name: workload, replicas: 1 };
    const asked = bus.request(subjects.api("default", "workload", "scale"), body, { timeoutMs: 600_000 });
    const trapped = asked.then((message) => message.json());
    trapped.catch(() => {});
    sleeper = { id: leader.leader, epoch: leader.sequence, since, trapped };
    await sleepy.fleet.mark("mark", 9000);
    console.log(`a leader that stands still: changes go on after ${Date.now() - since} ms`);
    expect(Date.now() - since).toBeLessThan(bounds.SIGKILL);
    expect(elections.length).toBe(count + 1);
    await expectUntouched(sleepy.fleet, sleepy.programs);
  });

  it(`take over from one that is killed, ${times} times`, () => measure("SIGKILL"), 30_000 + times * 15_000);

  it(`take over from one that is stopped, ${times} times`, () => measure("SIGTERM"), 30_000 + times * 10_000);

  it("hear nothing from the one that stood still when it wakes", async () => {
    const { id, epoch, since, trapped } = sleeper;
    const { records, elections, leader: successor } = sleepy.fleet;
    const { child } = sleepy.fleet.get(id);
    await until("it stood still for long", async () => Date.now() - since >= sleepMs, sleepMs + 5000);
    expect(isStopped(child.pid)).toBe(true);
    expect(successor.leader).not.toBe(id);
    const told = commands.length;
    child.kill("SIGCONT");
    expect(((await trapped) as ApiError).error.code).toBe("NO_LEADER");
    await until("it gives up", async () => sleepy.fleet.get(id).stderr.includes("not leading any more"));
    // It stands by again, and leads when it is the only one left.
    await sleepy.fleet.get(successor.leader).stop("SIGTERM");
    await until("it leads again", async () => sleepy.fleet.leader.leader === id, 20_000);
    await sleepy.fleet.mark("mark", 9001);

    const late = records.filter(({ sequence, event }) => sequence > successor.sequence && event.epoch === epoch);
    expect(late.map(({ sequence, event }) => [sequence, event.cause])).toEqual([]);
    expect(elections.filter(({ sequence }) => sequence > epoch)).toHaveLength(2);
    expect(commands.slice(told).filter((command) => command.epoch === epoch)).toEqual([]);
    expect(records.filter(({ event }) => event.items.some(({ verb }) => verb === "scaled"))).toEqual([]);
    await expectUntouched(sleepy.fleet, sleepy.programs);
  }, 120_000);
});
