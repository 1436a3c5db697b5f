// The proof of decision 27, tried: whatever becomes of messages, leaders, agents and clocks, a fenced pod never runs twice.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FenceWorld, type Kind } from "../support/fence-world.ts";

type Command =
  | { readonly do: "pass"; readonly ms: number }
  | { readonly do: "cut" | "restart" | "fill"; readonly node: number }
  | { readonly do: "cutHost" | "restartHost" | "fillHost" | "side" | "elect" | "scale" | "mend" }
  | { readonly do: "freeze"; readonly leader: number; readonly ms: number }
  | { readonly do: "slow"; readonly kind: Kind; readonly ms: number };

const node = fc.nat(3);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("pass" as const),
      ms: fc.oneof(fc.integer({ min: 250, max: 5000 }), fc.integer({ min: 5000, max: 30_000 })),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom("cut" as const, "restart" as const, "fill" as const), node }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "cutHost" as const,
        "restartHost" as const,
        "fillHost" as const,
        "side" as const,
        "elect" as const,
        "scale" as const,
        "mend" as const,
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("freeze" as const),
      leader: fc.nat(3),
      ms: fc.integer({ min: 500, max: 40_000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("slow" as const),
      kind: fc.constantFrom<Kind>("beat", "sync", "lease", "grant", "append"),
      ms: fc.constantFrom(50, 1000, 4000, 12_000),
    }),
  },
);

function run(world: FenceWorld, step: Command): void {
  switch (step.do) {
    case "pass":
      return world.pass(step.ms);
    case "slow":
      world.slowest[step.kind] = step.ms;
      return;
    case "elect":
      return world.elect();
    case "mend":
      return world.mend();
    case "restart":
      return world.nodes[step.node]?.restart();
    case "restartHost":
      return world.host?.restart();
    case "scale":
      return world.scale();
    case "fill":
    case "fillHost": {
      const found = step.do === "fill" ? world.nodes[step.node] : world.host;
      if (found !== undefined) found.isFull = true;
      return;
    }
    case "freeze": {
      const leader = world.leaders[step.leader % world.leaders.length];
      if (leader !== undefined) leader.frozenUntil = world.now + step.ms;
      return;
    }
    default: {
      const found = step.do === "cut" ? world.nodes[step.node] : world.host;
      // On the side of the leaders before the newest, or of nobody.
      const leaders = step.do === "side" ? world.leaders.slice(-1) : world.leaders;
      if (found !== undefined) world.cut(found, leaders);
    }
  }
}

/** Numbers from 0 to 1 that depend on the seed alone. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const begun = (seed: number): FenceWorld => {
  const world = new FenceWorld(randomOf(seed), 4);
  world.pass(5000);
  expect(world.ran, "it runs at first").toHaveLength(1);
  return world;
};

describe("a fenced pod", () => {
  it("never runs twice, whatever happens, and runs again once all is well", () => {
    let moved = 0;
    fc.assert(
      fc.property(fc.integer(), fc.array(command, { minLength: 5, maxLength: 25 }), (seed, script) => {
        const world = begun(seed);
        for (const step of script) {
          run(world, step);
          expect(world.doubles).toEqual([]);
        }
        world.mend();
        world.pass(90_000);
        expect(world.doubles).toEqual([]);
        expect(world.nodes.flatMap(({ running }) => running)).toHaveLength(1);
        if (world.ran.length > 1) moved += 1;
      }),
      { numRuns: 80 },
    );
    // Without replacements nothing would be shown.
    expect(moved).toBeGreaterThan(3);
  }, 120_000);

  /** Ten worlds, whose engines and clocks are as slow or fast as they may be. */
  const each = (story: (world: FenceWorld) => void): void => {
    for (let seed = 1; seed <= 10; seed++) {
      const world = begun(seed);
      story(world);
      expect(world.doubles, `seed ${seed}`).toEqual([]);
    }
  };
  const cutHost = (world: FenceWorld): NonNullable<FenceWorld["host"]> => {
    const { host } = world;
    if (host === undefined) throw new Error("it runs nowhere");
    world.cut(host);
    return host;
  };
  /** It was made anew elsewhere. */
  const moves = (world: FenceWorld, seconds = 60): void => {
    for (let second = 0; second < seconds && world.ran.length === 1; second++) world.pass(1000);
    world.pass(10_000);
    expect(world.ran.length).toBeGreaterThan(1);
  };

  it("is stopped by its cut off agent and runs elsewhere after that", () => {
    each((world) => {
      const host = cutHost(world);
      moves(world);
      expect(host.running).toEqual([]);
    });
  });

  it("is stopped in time by an agent that started anew a moment before, and by one that keeps starting anew", () => {
    for (const ms of [9000, 9250, 9500, 9750]) {
      each((world) => {
        const host = cutHost(world);
        world.pass(ms);
        host.restart();
        moves(world);
      });
    }
    for (const isFull of [false, true]) {
      each((world) => {
        const host = cutHost(world);
        host.isFull = isFull;
        for (let second = 0; second < 60; second++) {
          world.pass(1000);
          if (second % 4 === 3) host.restart();
        }
        moves(world);
      });
    }
  });

  it("gains nothing by a leader that was followed by another and does not know it", () => {
    each((world) => {
      world.elect();
      const { host } = world;
      if (host !== undefined) world.cut(host, world.leaders.slice(-1));
      moves(world);
    });
  });

  it("gains nothing by an answer that was long under way", () => {
    each((world) => {
      world.slowest.grant = 9000;
      world.pass(12_000);
      for (const leader of world.leaders) leader.mute(world.ran.at(-1) ?? "");
      moves(world);
    });
  });

  it("is not let run again while the event that gives it up is on its way into the log", () => {
    each((world) => {
      const host = cutHost(world);
      world.pass(8000);
      world.slowest.append = 6000;
      for (let quarter = 0; quarter < 160 && !world.leaders.some(({ isGivingUp }) => isGivingUp); quarter++) {
        world.pass(250);
      }
      host.deaf.clear();
      // It is late to hear that it is over, and others are not late to hear that it is theirs.
      Object.assign(world.slowest, { append: 50, sync: 15_000 });
      moves(world);
    });
  });

  it("is not let run again by its agent that heard that it is to stop and cannot write that down, and that starts anew", () => {
    for (const seconds of [0, 5, 20]) {
      each((world) => {
        const host = cutHost(world);
        host.isFull = true;
        world.pass(seconds * 1000);
        world.scale();
        moves(world);
        host.deaf.clear();
        for (let round = 0; round < 3; round++) {
          world.pass(12_000);
          host.restart();
        }
        world.pass(12_000);
      });
    }
  });

  it("goes on for leaders though its agent cannot write down what it hears of other pods", () => {
    each((world) => {
      const { host } = world;
      if (host === undefined) throw new Error("it runs nowhere");
      host.isFull = true;
      for (let round = 0; round < 4; round++) {
        world.scale();
        for (let second = 0; second < 15; second++) {
          world.pass(1000);
          expect(host.running).toHaveLength(1);
        }
      }
    });
  });

  it("is not let run again by a leader that has replaced it, before its agent has heard of that", () => {
    each((world) => {
      const host = cutHost(world);
      moves(world);
      world.slowest.sync = 60_000;
      host.deaf.clear();
      world.pass(30_000);
    });
  });
});
