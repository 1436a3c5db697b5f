// Carries out what those do who look after machines; see `../upkeep.ts`.
import type { Chance } from "../chance.ts";
import type { Fault } from "../faults.ts";
import { zones } from "../wishes.ts";
import type { Wish } from "../wishes.ts";
import { AgentProcess } from "./agent.ts";
import type { Facts } from "./agent.ts";
import { EngineCalls } from "./engine-calls.ts";
import { Machine } from "./machine.ts";
import type { World } from "./world.ts";

type Undo = () => void;

const mib = 1024 ** 2;
const onNode = (verb: string, name: string, more: object = {}): Wish => ({
  namespace: "_",
  resource: "node",
  verb,
  body: { name, ...more },
});

export class Upkeep {
  private readonly world: World;
  private readonly chance: Chance;
  /** Machines so far that have another's agent on them. */
  private clones = 0;
  private moves = 0;

  constructor(world: World) {
    this.world = world;
    this.chance = world.chance.stream("upkeep");
  }

  /** Begins the fault where it is one of these; what is returned ends it. */
  carryOut({ kind, whom, strength, forMs }: Fault): Undo | undefined {
    const agent = this.world.agents.find(({ name }) => name === whom[0]);
    const proxy = this.world.proxies.find(({ name }) => name === whom[0]);
    if (kind === "tableUnsaved" && proxy !== undefined) return full(proxy.machine);
    if (agent === undefined) return undefined;
    switch (kind) {
      case "nodeRemoved":
        this.order(onNode("drain", agent.name));
        // Where it is refused the node is given back.
        return () => this.order(onNode("remove", agent.name), onNode("uncordon", agent.name));
      case "nodeForced":
        this.order(onNode("remove", agent.name, { force: true }));
        return () => {};
      case "nodeGivenUp":
        return this.givenUp(agent, forMs / 2);
      case "nodeGone": {
        agent.kill();
        agent.engine.powerCut();
        this.world.timeline.after(forMs * strength, () => this.order(onNode("remove", agent.name)));
        return () => agent.start();
      }
      case "doubled":
        return this.doubled(agent, strength < 0.5);
      case "otherFacts":
        agent.kill();
        this.change(agent);
        return () => agent.start();
      default:
        return undefined;
    }
  }

  private order(...wishes: Wish[]): void {
    void this.world.operators[0]?.order(wishes);
  }

  private givenUp({ name, machine }: AgentProcess, afterMs: number): Undo {
    machine.pass({ up: false, down: false });
    this.world.timeline.after(afterMs, () => this.order(onNode("remove", name, { force: true })));
    return () => machine.pass({ up: true, down: true });
  }

  /** A second agent for the node, on a machine with an engine of its own, which nobody can reach but over the bus. */
  private doubled(agent: AgentProcess, isCopy: boolean): Undo {
    const { surroundings, timeline } = this.world;
    const nth = (this.clones += 1);
    const name = `${agent.name} clone ${nth}`;
    const place = new Machine(name, `10.0.8.${nth}`);
    if (isCopy) for (const [path, content] of agent.machine.files) place.files.set(path, content);
    const calls = new EngineCalls(this.world.chance.stream(`engine of ${name}`), { onEnd() {}, onStart() {} });
    const clone = new AgentProcess(
      surroundings,
      place,
      calls,
      { ...agent.facts, advertise: place.address },
      agent.name,
    );
    clone.isNext = agent.isNext;
    const over = this.world.nodes.onClone(agent.name, clone, timeline.now);
    clone.start();
    return () => {
      over();
      clone.kill();
      clone.engine.powerCut();
    };
  }

  /** More or less room, other labels, and now and then another address. */
  private change(agent: AgentProcess): void {
    const { chance } = this;
    const { network } = this.world;
    if (chance.hits(0.5)) network.move(agent, `10.0.9.${(this.moves += 1)}`);
    const capacity = {
      cpuMillis: chance.pick([250, 500, 1000, 4000]),
      memoryBytes: chance.pick([256, 1024, 8192]) * mib,
      pods: chance.pick([3, 10, 250]),
    };
    const labels = { zone: chance.pick(zones), disk: chance.pick(["ssd", "hdd"]) };
    const changed: Facts = { ...agent.facts, capacity, labels, advertise: agent.machine.address };
    agent.facts = changed;
  }
}

function full(machine: Machine): Undo {
  machine.isDiskFull = true;
  return () => {
    machine.isDiskFull = false;
  };
}
