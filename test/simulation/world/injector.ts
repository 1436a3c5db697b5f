// Carries out a script of faults on a world, and takes each back when its time is over.
import { fencedSpec } from "../../../services/core/fence.ts";
import { bucketOrder, subjectsOf } from "../../../services/bus/subjects.ts";
import type { Chance } from "../chance.ts";
import { fencedHost, leader } from "../faults.ts";
import type { Fault } from "../faults.ts";
import { shrunk, surge, unserved } from "../wishes.ts";
import type { AgentProcess } from "./agent.ts";
import type { ControllerProcess } from "./controller.ts";
import type { Machine } from "./machine.ts";
import type { OperatorProcess } from "./operator.ts";
import type { ProxyProcess } from "./proxy.ts";
import { cut, echoing, gappy, lag, lagMs, lossy, slow, worst } from "./links.ts";
import { breakAppend, breakReading, powerCut } from "./breaking.ts";
import { Damage } from "./damage.ts";
import { edit } from "./edits.ts";
import { Upkeep } from "./upkeep.ts";
import type { World } from "./world.ts";

type Part = ControllerProcess | AgentProcess | ProxyProcess;
type Undo = () => void;

const names = subjectsOf("default");
const jumpMs = 90_000;
/** From the start of requests to the wish that makes their pods go: they are at them by then. */
const shrinkMs = 100;
/** A machine is up again after this at most. */
const bootMs = 3000;
/** A log that is full has room for so many bytes more at most. */
const mostRoom = 20_000;

export class Injector {
  private readonly world: World;
  private readonly chance: Chance;
  /** Only for edits: other faults do not change with them. */
  private readonly edits: Chance;
  private readonly damage: Damage;
  private readonly upkeep: Upkeep;
  private readonly open = new Set<Undo>();
  /** Kind → how many of it last now. */
  private readonly overlapping = new Map<Fault["kind"], number>();
  /** Faults carried out. */
  count = 0;

  constructor(world: World) {
    this.world = world;
    this.chance = world.chance.stream("injector");
    this.edits = world.chance.stream("edits");
    this.damage = new Damage(world);
    this.upkeep = new Upkeep(world);
  }

  /** Has the script happen at its times. */
  plan(faults: readonly Fault[]): void {
    for (const fault of faults) this.world.timeline.after(fault.at, () => this.begin(fault));
  }

  /** Takes back all that is still wrong. */
  heal(): void {
    const open = [...this.open];
    for (const undo of open) undo();
  }

  private begin(planned: Fault): void {
    const { world } = this;
    const fault = { ...planned, whom: planned.whom.map((name) => this.named(name)) };
    const { kind, whom, forMs } = fault;
    this.count += 1;
    world.trace.note("fault", kind, { whom: whom.join(" "), forMs });
    const over = placesOf(fault).map((place) => world.troubles.begin(place, kind));
    const undo = this.carryOut(fault);
    const end = (): void => {
      if (!this.open.delete(end)) return;
      undo();
      world.trace.note("fault", `${kind} is over`, { whom: whom.join(" ") });
      // What waited on the way of one that lagged still comes.
      const lateMs = kind === "lagging" ? lagMs[1] : 0;
      for (const done of over)
        if (lateMs === 0) done();
        else world.timeline.after(lateMs, done);
    };
    this.open.add(end);
    if (forMs === 0) end();
    else world.timeline.after(forMs, end);
  }

  private named(name: string): string {
    if (name === leader) return this.leading();
    return name === fencedHost ? this.fencing() : name;
  }

  private fencing(): string {
    const { observer, agents } = this.world;
    const { state } = observer;
    const found = [...state.pods.values()].find((pod) => pod.state === "ready" && fencedSpec(state, pod) !== null);
    return found?.node ?? this.chance.pick(agents).name;
  }

  private leading(): string {
    const { controllers } = this.world;
    return (controllers.find(({ leads }) => leads) ?? this.chance.pick(controllers)).name;
  }

  private carryOut(fault: Fault): Undo {
    const { whom, strength } = fault;
    const undo = this.upkeep.carryOut(fault);
    if (undo !== undefined) return undo;
    const undos = whom.map((name) => this.onPart(fault, this.world.process(name)));
    if (whom.length > 0) return () => undos.forEach((undo) => undo());
    return this.onBus(fault.kind, strength);
  }

  private onPart({ kind, strength, forMs }: Fault, part: Part): Undo {
    const { machine } = part;
    switch (kind) {
      case "kill":
        part.kill();
        return () => part.start();
      case "wipe":
        part.kill();
        machine.files.clear();
        this.world.observer.orders.onWipe(machine.name);
        return () => part.start();
      case "upgrade":
        part.kill();
        part.isNext = true;
        return () => part.start();
      case "pause":
        return part.pause();
      case "stop":
        return part.stop();
      case "resign":
        if ("leads" in part) part.resign();
        return nothing;
      case "cut":
      case "cutSome":
        return cut(machine, { up: false, down: false });
      case "cutUp":
        return cut(machine, { up: false, down: true });
      case "cutDown":
        return cut(machine, { up: true, down: false });
      case "flap":
        return this.flap(machine, forMs);
      case "mute":
        return this.mute(part.name);
      case "reset":
        for (const link of machine.links) link.reset();
        return nothing;
      case "slow":
        return slow(machine, strength);
      case "lagging":
        return lag(machine, strength);
      case "lossy":
        return lossy(machine, worst, strength);
      case "gappy":
        return lossy(machine, gappy, strength);
      case "echoing":
        return lossy(machine, echoing, strength);
      case "clockJump":
        part.skew((strength - 0.5) * 2 * jumpMs);
        return () => part.skew(0);
      case "farFromNodes":
        return this.far(machine, strength);
      default:
        return "engine" in part ? this.onNode(kind, part, strength) : nothing;
    }
  }

  private onNode(kind: Fault["kind"], agent: AgentProcess, strength: number): Undo {
    const { calls, engine, machine } = agent;
    switch (kind) {
      case "crash":
      case "crashSome":
        agent.kill();
        engine.powerCut();
        return () => agent.start();
      case "crashAlone": {
        // The machine is back long before its way to the bus is.
        const open = cut(machine, { up: false, down: false });
        agent.kill();
        engine.powerCut();
        const cancel = this.world.timeline.after(bootMs * strength, () => agent.start());
        return () => {
          cancel();
          agent.start();
          open();
        };
      }
      case "engineDown":
        engine.down();
        return () => engine.up();
      case "engineHangs":
        calls.isHung = true;
        return () => {
          calls.isHung = false;
        };
      case "engineFlaky":
        calls.flaky = strength * 0.6;
        return () => {
          calls.flaky = 0;
        };
      case "killContainers":
        for (const { id } of engine.all()) {
          if (this.chance.hits(0.3 + strength / 2)) engine.kill(id, 137, this.chance.hits(0.3));
        }
        return nothing;
      case "diskFull":
        machine.isDiskFull = true;
        return () => {
          machine.isDiskFull = false;
        };
      default:
        return nothing;
    }
  }

  /** Of some that overlap, the end of the last is the end. */
  private lasting(kind: Fault["kind"], undo: Undo): Undo {
    const begun = this.overlapping.get(kind) ?? 0;
    this.overlapping.set(kind, begun + 1);
    return () => {
      const left = (this.overlapping.get(kind) ?? 1) - 1;
      this.overlapping.set(kind, left);
      if (left === 0) undo();
    };
  }

  private onBus(kind: Fault["kind"], strength: number): Undo {
    const { server, timeline } = this.world;
    switch (kind) {
      case "busKill":
        server.kill();
        return this.lasting(kind, () => server.start());
      case "busFreeze":
        server.freeze();
        return this.lasting(kind, () => server.thaw());
      case "busMoves":
        server.leaderMove(4000 + strength * 2000);
        return nothing;
      case "copyBehind":
        server.fallBehind(0.25 + 0.5 * strength);
        return () => server.catchUp();
      case "island":
        server.isolate(strength < 0.6 ? `controller ${this.leading()}` : undefined, 4000 + strength * 2000);
        return () => server.rejoin();
      case "busPowerCut":
        powerCut(this.world);
        return () => server.start();
      case "busFull":
        server.fill(true);
        return () => server.fill(false);
      case "consumersLost":
        server.dropConsumers();
        return nothing;
      case "newsLost":
        server.loseNews();
        return nothing;
      case "ackLost":
        server.hideOutcome("stored", someStream(strength), fitting(strength));
        return nothing;
      case "writeLost":
        server.hideOutcome("lost", someStream(strength), fitting(strength));
        return nothing;
      case "strayRecord": {
        const data = stray(strength, this.chance, this.world.observer);
        if (isTaken(() => server.strayAppend(names.event("pod", "default", "web-1", "ready"), data))) {
          this.world.observer.onStray();
        }
        return nothing;
      }
      case "handEdit":
        isTaken(() => server.strayPut(names.buckets.pods, "default.web-1", strength < 0.5 ? null : '{"edited":true}'));
        return nothing;
      case "logFull":
        this.damage.fillLog();
        server.meddler.limitLog(Math.max(0, strength - 0.4) * mostRoom);
        return () => server.meddler.limitLog();
      case "bucketGone":
        this.world.meddled += 1;
        server.meddler.deleteBucket(names.buckets[this.edits.pick(bucketOrder)]);
        return nothing;
      case "edit":
        this.world.meddled += 1;
        isTaken(() => edit(this.world, this.edits));
        return nothing;
      case "appendBroken":
        return breakAppend(this.world, strength, () => this.leading());
      case "readBroken":
        return breakReading(this.world, this.chance, strength);
      case "everythingOff":
        return this.everything();
      case "surge": {
        const operator = this.world.operators[0] as OperatorProcess;
        void operator.order(surge.up());
        return () => void operator.order([surge.down()]);
      }
      case "shrink":
        this.world.sendLongRequests();
        timeline.after(shrinkMs, () => void this.world.operators[0]?.order(shrunk()));
        return nothing;
      case "quiet":
        return this.quiet(strength < 0.5);
      case "busWiped":
        return this.damage.loseLog(strength, false);
      case "logGone":
        return this.damage.loseLog(strength, true);
      case "recordGone":
        return this.damage.loseRecord(strength);
      case "snapshotBroken":
        this.damage.breakSnapshots(strength);
        return nothing;
      default:
        throw new Error(`${kind} at ${timeline.now} happens to nobody`);
    }
  }

  /** Nobody asks for anything, but that a service be deleted first. */
  private quiet(isServiceDeleted: boolean): Undo {
    const { operators, observer } = this.world;
    const served = [...observer.state.services.values()].map(({ name }) => name);
    if (isServiceDeleted && served.length > 0) void operators[0]?.order([unserved(this.chance.pick(served))]);
    for (const operator of operators) operator.isResting = true;
    return () => {
      for (const operator of operators) operator.isResting = false;
    };
  }

  /** The power of the whole room. */
  private everything(): Undo {
    const { world } = this;
    powerCut(this.world);
    for (const part of [...world.controllers, ...world.agents, ...world.proxies]) {
      if ("engine" in part) part.engine.powerCut();
      part.kill();
    }
    return () => {
      world.server.start();
      for (const part of [...world.controllers, ...world.agents, ...world.proxies]) part.start();
    };
  }

  /** Its heartbeats get lost, while it answers who asks it. */
  private mute(node: string): Undo {
    const { muted } = this.world.server;
    const subject = names.node.heartbeat(node);
    muted.add(subject);
    return () => muted.delete(subject);
  }

  private flap(machine: Machine, forMs: number): Undo {
    let isOpen = true;
    let isOver = false;
    const next = (): void => {
      if (isOver) return;
      isOpen = !isOpen;
      machine.pass({ up: isOpen, down: isOpen });
      this.world.timeline.after(this.chance.between(50, Math.min(3000, forMs)), next);
    };
    next();
    return () => {
      isOver = true;
      machine.pass({ up: true, down: true });
    };
  }

  /** Keeps a proxy's machine and some nodes from each other. */
  private far(machine: Machine, strength: number): Undo {
    for (const { machine: node } of this.world.agents) if (this.chance.hits(strength)) machine.cutFrom.add(node);
    return () => machine.cutFrom.clear();
  }
}

const nothing: Undo = () => {};

/** Mostly the log, which matters most. */
const someStream = (strength: number): string =>
  strength < 0.7 ? names.stream : `KV_${names.buckets[strength < 0.85 ? "endpoints" : "pods"]}`;

/** Mostly what somebody asked for, who is told what became of it. */
const fitting = (strength: number): ((data: Uint8Array) => boolean) | undefined =>
  strength < 0.5 ? (data) => new TextDecoder().decode(data).includes('"operation":') : undefined;

/** False where the server has no room, or no streams yet. */
function isTaken(write: () => unknown): boolean {
  try {
    write();
    return true;
  } catch {
    return false;
  }
}

/** Bytes that are no event, and events nobody may take for one: of another log, of a term that is over, or of no chain. */
function stray(strength: number, chance: Chance, { state }: World["observer"]): Uint8Array {
  const [workload] = [...state.workloads.values()].slice(-1);
  const scaled = { kind: "workload", verb: "scaled", namespace: "default", name: workload?.name ?? "web", replicas: 7 };
  const id = `stray${chance.whole(0, 1e9)}`;
  const next = { schema: 1, id, prev: state.lastEventId, time: state.time, cause: "x", items: [scaled] };
  const kinds = [
    "garbage",
    JSON.stringify({ ...next, logId: state.logId, epoch: state.epoch, prev: "" }),
    JSON.stringify({ ...next, logId: "other", epoch: state.epoch }),
    JSON.stringify({ ...next, logId: state.logId, epoch: state.epoch - 1 }),
  ];
  return new TextEncoder().encode(kinds[Math.floor(strength * kinds.length)] ?? "garbage");
}

/** These keep nobody from anything for longer than a moment. */
const unnoticed = new Set<string>(["strayRecord", "handEdit", "edit", "newsLost", "surge", "shrink", "quiet"]);

/** Where something is wrong while a fault lasts. When many nodes go at once, "maybe it is us" holds for all of them. */
function placesOf({ kind, whom }: Fault): string[] {
  if (unnoticed.has(kind)) return [];
  return whom.length === 0 || kind === "crashSome" || kind === "cutSome" ? ["bus", ...whom] : [...whom];
}
