// Ways on which nothing passes in one direction, for longer than nodes are waited for.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ServerBinary } from "../support/nats.ts";
import { after, counts, describeFaults, FaultWorld, harmless, replaced, seen, untouched } from "./world.ts";
import type { Fault } from "./world.ts";
import type { Figures } from "./recording.ts";

/** Longer than `lostAfter`, and shorter than it takes the node to notice by itself that nobody answers it: 30 to 45 s. */
const cutMs = 25_000;
/** What was said before the cut has arrived, and was done, after so long. */
const onTheWayMs = 3000;

describeFaults("a cluster of processes whose ways are cut on one side", suite);

function suite(server: ServerBinary): void {
  let world: FaultWorld;

  beforeAll(async () => {
    world = await FaultWorld.open(server);
  });
  afterAll(() => world?.dispose());

  /** The programs of the node when nothing could be on the way any more, and before its end; rollouts go on meanwhile. */
  let held: [readonly number[], readonly number[]];
  const cut = (fault: Fault, way: "there" | "back"): Promise<Figures> =>
    world.run(fault, async (run) => {
      run.keepChanging(counts);
      const node = world.otherNode(run);
      await run.onset();
      run.fault();
      world.relay(node).cut(way);
      await after(onTheWayMs);
      const then = world.programs(node);
      await after(cutMs - onTheWayMs);
      held = [then, world.programs(node)];
      world.relay(node).mend();
      run.mended();
      await after(2000);
    });

  it("has a node that is not heard, but hears", { timeout: 180_000 }, async () => {
    const promise =
      "Its pods are lost after 15 s and made anew elsewhere, as if it were cut off; its programs end when it is told.";
    const is = await cut({ fault: "A node is not heard, but hears for 25 s, lostAfter 15 s", promise }, "there");
    expect(is).toMatchObject({ ...harmless, unasked: 0, byFence: 0, failed: 0 });
    replaced(is);
    seen(is, { silenceMs: 1000, convergedMs: 30_000 });
  });

  it("has a node that is heard, but does not hear", { timeout: 180_000 }, async () => {
    const promise = "It is heard: nothing is given up or touched; changes reach it when it hears again.";
    const is = await cut({ fault: "A node is heard, but does not hear for 25 s, lostAfter 15 s", promise }, "back");
    expect(is).toMatchObject({ ...untouched, unknownMs: null, failed: 0 });
    expect(held[1], "it does nothing of what it is told meanwhile").toEqual(held[0]);
    seen(is, { silenceMs: 1000, convergedMs: 30_000 });
  });
}
