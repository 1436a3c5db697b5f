// The proof of decision 27, tried: whatever becomes of messages, leaders, agents and clocks, a fenced pod never runs twice.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FenceWorld } from "../support/fence-world.ts";

type Command =
  | { readonly do: "pass"; readonly ms: number }
  | { readonly do: "cut" | "mend" | "restart"; readonly node: number }
  | { readonly do: "cutRunning" | "elect" }
  | { readonly do: "freeze"; readonly leader: number; readonly ms: number }
  | { readonly do: "slow"; readonly ms: number };

const node = fc.nat(3);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("pass" as const),
      ms: fc.oneof(fc.integer({ min: 250, max: 5000 }), fc.integer({ min: 5000, max: 30_000 })),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("cut" as const), node }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("mend" as const, "restart" as const), node }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("cutRunning" as const, "elect" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("freeze" as const),
      leader: fc.nat(3),
      ms: fc.integer({ min: 500, max: 40_000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("slow" as const), ms: fc.constantFrom(50, 1000, 4000, 12_000) }),
  },
);

function run(world: FenceWorld, step: Command): void {
  switch (step.do) {
    case "pass":
      return world.pass(step.ms);
    case "slow":
      world.slowest = step.ms;
      return;
    case "elect":
      return world.elect();
    case "freeze": {
      const leader = world.leaders[step.leader % world.leaders.length];
      if (leader !== undefined) leader.frozenUntil = world.now + step.ms;
      return;
    }
    case "cutRunning":
      for (const each of world.nodes) if (each.running.length > 0) each.cut = true;
      return;
    case "restart":
      return world.nodes[step.node]?.restart();
    default: {
      const found = world.nodes[step.node];
      if (found !== undefined) found.cut = step.do === "cut";
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
        world.slowest = 50;
        for (const each of world.nodes) each.cut = false;
        world.pass(90_000);
        expect(world.doubles).toEqual([]);
        expect(world.nodes.flatMap(({ running }) => running)).toHaveLength(1);
        if (world.ran.length > 1) moved += 1;
      }),
      { numRuns: 60 },
    );
    // Without replacements nothing would be shown.
    expect(moved).toBeGreaterThan(10);
  }, 120_000);

  it("is stopped by its cut off agent and runs elsewhere after that, also when the agent keeps starting anew", () => {
    const world = begun(1);
    run(world, { do: "cutRunning" });
    const from = world.nodes.find(({ running }) => running.length > 0);
    for (let second = 0; second < 60 && world.ran.length === 1; second++) {
      world.pass(1000);
      if (second % 4 === 3) from?.restart();
    }
    expect(world.doubles).toEqual([]);
    expect(world.ran).toHaveLength(2);
    expect(from?.running).toEqual([]);
  });
});
