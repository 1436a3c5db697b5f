// Ways on which nothing passes in one direction.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ServerBinary } from "../support/nats.ts";
import { after, counts, describeFaults, FaultWorld, seen, untouched } from "./world.ts";

describeFaults("a cluster of processes whose ways are cut on one side", suite);

function suite(server: ServerBinary): void {
  let world: FaultWorld;

  beforeAll(async () => {
    world = await FaultWorld.open(server);
  });
  afterAll(() => world?.dispose());

  it.each([["there" as const], ["back" as const]])(
    "has a node cut off one way, %s",
    { timeout: 180_000 },
    async (way) => {
      const what = way === "there" ? "is not heard, but hears" : "is heard, but does not hear";
      const promise = "Nothing is moved before lostAfter (15 s), and no program is touched.";
      const is = await world.run({ fault: `A node ${what} for 10 s`, promise }, async (run) => {
        run.keepChanging(counts);
        await run.onset();
        const node = world.otherNode(run);
        run.fault();
        world.relay(node).cut(way);
        await after(10_000);
        world.relay(node).mend();
        run.mended();
        await after(2000);
      });
      expect(is).toMatchObject({ ...untouched, failed: 0 });
      seen(is, { silenceMs: 1000, convergedMs: 30_000 });
    },
  );
}
