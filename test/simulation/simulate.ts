// One simulated run: a world lives through a script of faults, is healed, and must come to rest as it was asked to.
import type { EventItem } from "../../schemas/generated/types.ts";
import { verifyState } from "../../services/controller/verify.ts";
import { assignedPod } from "../../services/core/assignment.ts";
import { asSwainError } from "../../services/kernel/errors.ts";
import { systemPacking } from "../../services/kernel/node/packing.ts";
import { Chance } from "./chance.ts";
import { script } from "./faults.ts";
import type { Fault } from "./faults.ts";
import type { Violation } from "./observer.ts";
import { Refold } from "./refold.ts";
import { servedPorts } from "./clients.ts";
import { Contents } from "./contents.ts";
import { Link } from "./bus/link.ts";
import { isMove, unexplained } from "./rest.ts";
import { Lateness } from "./lateness.ts";
import { Standbys, type Standing } from "./standbys.ts";
import { Terms } from "./terms.ts";
import { drains, settled } from "./wishes.ts";
import { Injector } from "./world/injector.ts";
import { ask } from "./world/asking.ts";
import { nextVersion } from "./world/next-version.ts";
import { World } from "./world/world.ts";

export interface Plan {
  readonly seed: string;
  /** Virtual minutes under faults. */
  readonly minutes: number;
  readonly synced: boolean;
  /** Of the bus; where it is not given, chance decides. */
  readonly servers?: 1 | 3 | undefined;
  /** The share of the usual faults and drills, 1 when it is not given. */
  readonly density?: number;
  /** Instead of those that chance would make. */
  readonly faults?: readonly Fault[];
  /** Ends with the first violation, without the rest that should follow. */
  readonly stopsAtFirst?: boolean;
  readonly traceLines: number;
  readonly onLine?: ((line: string) => void) | undefined;
}

export interface Outcome {
  readonly seed: string;
  readonly violations: readonly Violation[];
  readonly faults: readonly Fault[];
  readonly digest: string;
  readonly trace: readonly string[];
  readonly figures: Figures;
}

export interface Figures {
  /** Virtual time under faults, hours. */
  readonly hours: number;
  /** Of these, those with so many faults and changes that they count. */
  readonly counted: number;
  readonly faults: number;
  /** Changes asked for, and those acknowledged. */
  readonly asked: number;
  readonly acknowledged: number;
  /** Events that leaders wrote. */
  readonly decisions: number;
  /** Terms begun. */
  readonly terms: number;
  readonly steps: number;
  readonly answered: number;
  readonly failed: number;
}

const faultsPerHour = 90;
const drillsPerHour = 25;
const changesPerHour = 750;
/** An hour with fewer faults or changes asked for than this does not count as one of a cluster under faults … */
export const leastPerHour = { faults: 60, asked: 600 } as const;
/** … and neither does one of a smaller cluster. */
const leastSize = { controllers: 3, agents: 10, proxies: 2 } as const;
/** With this density or more an hour has always enough of both. */
const countingDensity = 0.5;
const requestsPerHour = 900;
const hourMs = 3_600_000;
/** After the last fault all must be as it should be within this … */
const settleMs = 240_000;
/** … and stay so. */
const restMs = 60_000;
/** Without a move for so long a cluster is at rest: what is slowest waits for a minute … */
const stillMs = 150_000;
/** … and it comes to that within this: drains and changes go on pod by pod. */
const calmMs = 900_000;
/** A drain moves the pods of a workload one after the other, each of which has up to 2 s to end; of a surge that the log brought back there are 1,000. */
const movedMs = 4000;
/** What was under way when faults ended is over after this. */
const underWayMs = 15_000;
/** A client of a service that is at rest is answered in less. */
const answeredMs = 1000;
/** So many records cannot be written without a snapshot becoming due, and tried again where it failed. */
const recordsWithSnapshots = 5000;
/** Between two looks whether it is. */
const lookMs = 1000;

/** Between two looks at what containers run. */
const contentsMs = 2000;

/** A cluster whose log lost records has enough to do for so long. */
const keptMs = 60_000;

/** Runs one world from its seed to its end. */
export async function simulate(plan: Plan): Promise<Outcome> {
  const { seed, minutes, synced, servers, traceLines, density = 1 } = plan;
  // Changes keep so far above the bound that no hour falls below it by chance.
  const changes = leastPerHour.asked + (changesPerHour - leastPerHour.asked) * density;
  const world = new World({ seed, synced, servers, changesPerHour: changes, requestsPerHour, traceLines });
  world.trace.onLine = plan.onLine;
  const underFaultsMs = minutes * 60_000;
  const amounts = {
    perHour: faultsPerHour * density,
    drillsPerHour: drillsPerHour * density,
    least: leastPerHour.faults * Math.min(1, density / countingDensity),
    servers: world.servers,
  };
  const faults = plan.faults ?? script(new Chance(seed).stream("faults"), underFaultsMs, amounts);
  const injector = new Injector(world);
  injector.plan(faults);
  world.start();
  const isOver = (): boolean => plan.stopsAtFirst === true && world.observer.violations.length > 0;
  const again = new Refold();
  const contents = new Contents();
  const terms = new Terms(
    () => world.timeline.now,
    world.troubles,
    (message) => world.observer.violate("term", message),
  );
  const standbys = new Standbys(
    () => world.timeline.now,
    world.troubles,
    (message) => world.observer.violate("8", message),
  );
  const lateness = new Lateness(
    () => world.timeline.now,
    world.troubles,
    world.observer.silence,
    (message) => world.observer.violate("late", message),
  );
  const counting = new Counting(world, injector);
  while (world.timeline.now < underFaultsMs && !isOver()) {
    await world.pass(Math.min(lookMs, underFaultsMs - world.timeline.now));
    world.observer.onRefused(refusedIn(world));
    if (world.timeline.now % hourMs === 0) counting.next();
    if (world.timeline.now % contentsMs === 0) {
      contents.look(world);
      world.nodes.look(world.agents);
      world.outside.look();
      world.observer.feeds.look();
      terms.look(world.controllers.map(({ name, leads, view }) => ({ name, leads, state: view?.state })));
      standbys.look(standing(world), world.observer);
    }
    lateness.look(world.observer.state, world.controllers, world.observer.isKept(keptMs));
    again.look(world);
  }
  counting.next();
  const hours = world.timeline.now / hourMs;
  const asked = askedIn(world);
  const { decisions } = world.observer;
  if (!isOver()) await end(world, injector);
  world.observer.onRefused(refusedIn(world));
  const { answered, refused, broken } = world.requests;
  return {
    seed,
    faults,
    violations: world.observer.violations,
    digest: world.trace.digest,
    trace: world.trace.last(),
    figures: {
      hours,
      counted: counting.counted,
      faults: injector.count,
      asked,
      decisions,
      answered,
      acknowledged: world.observer.acknowledgedCount,
      terms: world.controllers.reduce((sum, { counters }) => sum + counters.terms, 0),
      steps: world.timeline.steps,
      failed: refused + broken,
    },
  };
}

const standing = ({ controllers }: World): Standing[] =>
  controllers.flatMap(({ name, leads, view }) =>
    view === undefined ? [] : [{ name, leads, isIdle: view.isIdle, state: view.state }],
  );

/** By the checkers of all controllers, in all their runs. */
const refusedIn = ({ controllers }: World): number =>
  controllers.reduce((sum, { counters }) => sum + counters.refused, 0);

const askedIn = ({ operators }: World): number => operators.reduce((sum, { asked }) => sum + asked, 0);

/** Holds each hour of a world against what makes it count; a part of an hour needs its part of that. */
class Counting {
  /** Hours that count. */
  counted = 0;
  private readonly world: World;
  private readonly injector: Injector;
  private from = 0;
  private faults = 0;
  private asked = 0;

  constructor(world: World, injector: Injector) {
    this.world = world;
    this.injector = injector;
  }

  /** An hour is over, or the last part of one. */
  next(): void {
    const { now } = this.world.timeline;
    const hours = (now - this.from) / hourMs;
    const faults = this.injector.count - this.faults;
    const asked = askedIn(this.world) - this.asked;
    const { controllers, agents, proxies } = this.world;
    const isWhole =
      controllers.length >= leastSize.controllers &&
      agents.length >= leastSize.agents &&
      proxies.length >= leastSize.proxies;
    if (isWhole && faults >= leastPerHour.faults * hours && asked >= leastPerHour.asked * hours) this.counted += hours;
    this.from = now;
    this.faults += faults;
    this.asked += asked;
  }
}

/** No more faults: what was promised for then must hold. */
async function end(world: World, injector: Injector): Promise<void> {
  const { observer } = world;
  injector.heal();
  for (const one of [...world.operators, ...world.externals]) one.isResting = true;
  world.trace.note("world", "no more faults");
  await waitFor(world, "a leader answers", () => world.controllers.some(({ leads }) => leads));
  await calm(world);
  for (const wish of settled()) {
    const answer = await ask(world, wish);
    if (typeof answer === "string" && answer !== "NOT_FOUND")
      observer.violate("liveness", `a change is refused: ${answer}`);
  }
  // A candidate that was kept from hearing its leader may still stand.
  await world.pass(underWayMs);
  await waitFor(world, "all is as it should be", () => unsettled(world).length === 0);
  for (const what of unsettled(world)) observer.violate("liveness", what);
  await serve(world);
  const { records } = observer;
  await world.pass(restMs);
  if (observer.records !== records) {
    observer.violate("5", `${observer.records - records} events were written at rest`);
  }
  for (const what of unsettled(world)) observer.violate("5", what);
  observer.feeds.rest();
  const fresh = new Refold();
  if (!fresh.compare(world)) observer.violate("8", "no leader has folded the log to its end");
  fresh.whole(world);
  await verify(world);
  observer.finish();
}

/** Each proxy answers clients of every service that has endpoints. */
async function serve(world: World): Promise<void> {
  const { network, observer, proxies } = world;
  const waiting = new Set<string>();
  for (const { name, machine } of proxies) {
    for (const [service, port] of servedPorts(observer.state)) {
      const client = `proxy ${name} does not answer a client of ${service}`;
      waiting.add(client);
      network.request(machine, port, (outcome) => void (outcome === "answered" && waiting.delete(client)), false);
    }
  }
  await world.pass(answeredMs);
  for (const what of waiting) observer.violate("7", what);
}

/** Nobody asks for anything any more: what was asked for before is done, or says why it is not, and then nothing moves. */
async function calm(world: World): Promise<void> {
  const { observer, timeline } = world;
  const last = { at: timeline.now, move: "" };
  const look = (item: EventItem, sequence: number): void => {
    if (observer.isReplaying || !isMove(observer.state, item)) return;
    last.at = timeline.now;
    last.move = `event ${sequence}: ${item.kind} ${item.verb} ${item.name}`;
  };
  observer.lookers.push(look);
  for (const wish of drains(world.chance.stream("last drains"))) await ask(world, wish);
  const until = timeline.now + calmMs + observer.state.pods.size * movedMs;
  while (timeline.now - last.at < stillMs && timeline.now < until) await world.pass(lookMs);
  observer.lookers.splice(observer.lookers.indexOf(look), 1);
  if (timeline.now >= until)
    observer.violate("5", `nobody asks for anything, but it does not come to rest: ${last.move}`);
  else for (const what of unexplained(observer.state)) observer.violate("4", what);
}

async function waitFor(world: World, _what: string, holds: () => boolean): Promise<void> {
  for (let passed = 0; passed < settleMs && !holds(); passed += lookMs) await world.pass(lookMs);
}

/** Everything that is not as the settled wishes want it. */
function unsettled(world: World): string[] {
  const { state } = world.observer;
  const wrong = [...world.nodes.unsettled(world.agents), ...world.outside.unsettled()];
  for (const node of state.nodes.values()) {
    if (node.state !== "ready" || node.reason !== "") wrong.push(`node ${node.id} is ${node.state} ${node.reason}`);
  }
  for (const workload of state.workloads.values()) {
    const pods = [...workload.pods].map((key) => state.pods.get(key));
    const ready = pods.filter((pod) => pod?.state === "ready" && pod.desired === "run").length;
    if (ready !== workload.spec.replicas || pods.length !== ready || workload.templates.size !== 1) {
      wrong.push(
        `workload ${workload.name}: ${ready} of ${workload.spec.replicas} ready, ${pods.length} pods, ${workload.templates.size} templates: ` +
          pods.map((pod) => `${pod?.name} ${pod?.node} ${pod?.state}/${pod?.desired} ${pod?.reason}`).join(", "),
      );
    }
  }
  for (const { name, engine } of world.agents) {
    const running = engine.all().map(({ spec, state: is }) => `${spec.pod} ${spec.container.name} ${is}`);
    const pods = [...(state.nodes.get(name)?.pods ?? [])];
    const wanted = pods.flatMap((pod) =>
      (assignedPod(state, pod)?.containers ?? []).map((one) => `${pod} ${one.name} running`),
    );
    const differs = running.toSorted().join() !== wanted.toSorted().join();
    if (differs) wrong.push(`node ${name} runs [${running.join(", ")}] instead of [${wanted.join(", ")}]`);
  }
  return wrong;
}

/** Stream and buckets, read as `swain state verify` reads them. */
async function verify(world: World): Promise<void> {
  const { clock, random } = world.onlooker;
  const connection = await world.during(world.server.connect({ clock, random, name: "verify", link: new Link() }));
  const bus = nextVersion(connection, random);
  const verified = verifyState({ bus, cluster: "default", clock, packing: systemPacking });
  const report = await world.during(verified).catch((error: unknown) => asSwainError(error).message);
  if (typeof report === "string") return world.observer.violate("8", `the state cannot be verified: ${report}`);
  const { differences: found, snapshots } = report;
  for (const { bucket, key, kind } of found) world.observer.violate("8", `${bucket} ${key} is ${kind} in KV`);
  // Not the observer's count of records: what a log lost is read again.
  const { sequence } = world.observer.state;
  if (snapshots.length === 0 && sequence > recordsWithSnapshots) {
    world.observer.violate("8", `no snapshot was made in ${sequence} records`);
  }
  for (const one of snapshots) {
    if (one.state !== "equal") world.observer.violate("8", `snapshot ${one.id} is ${one.state}: ${one.message}`);
  }
  await world.during(bus.close());
}
