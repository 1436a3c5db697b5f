// The server's machine loses its power, or the server breaks at a moment when that matters most.
import type { Chance } from "../chance.ts";
import type { World } from "./world.ts";

type Undo = () => void;

/** Longer than the server takes to sync by itself. */
const foundedMs = 15_000;

/** A cluster that loses its first record is another one afterwards, which the nodes refuse to follow: not looked at here. */
export function powerCut(world: World): void {
  const { server, onlooker } = world;
  const founded = server.log().get(1)?.time ?? -Infinity;
  if (onlooker.clock.wall() - founded < foundedMs) server.sync();
  server.powerCut();
  if (!world.synced) world.lostPowerAt = world.timeline.now;
}

/** The server or the leader's connection breaks once the log's next append has come, and before it is answered. */
export function breakAppend(world: World, strength: number, leader: () => string): Undo {
  const { server } = world;
  const cancel = server.atNextAppend(() => {
    const leading = leader();
    world.trace.note("world", "an append is broken", { leading });
    if (strength < 0.4) server.kill();
    else if (strength < 0.6) powerCut(world);
    else for (const link of world.process(leading).machine.links) link.reset();
  });
  return () => {
    cancel();
    server.start();
  };
}

/** The server is soon back, so that the reading goes on; of a power cut without the newest records alone. */
export function breakReading(world: World, chance: Chance, strength: number): Undo {
  const { server, timeline, trace } = world;
  let over: Undo = () => {};
  const arm = (left: number): void => {
    over = server.readings.atNext((from, by) => {
      if (left > 0 || world.controllers.some(({ leads }) => leads)) return arm(Math.max(0, left - 1));
      const { last } = server.log();
      const lost = Math.max(from, last - chance.whole(0, 3));
      trace.note("world", "a reading of the log is broken", { by, from, last, lost });
      if (strength < 0.2) {
        server.kill();
      } else {
        server.sync(lost);
        powerCut(world);
      }
      over = timeline.after(chance.between(100, 1500), () => server.start());
    });
  };
  arm(chance.whole(0, 1));
  return () => {
    over();
    server.start();
  };
}
