// What a leader makes of heartbeats that tell only changes, some of which are lost.
import fc from "fast-check";
import { expect, it } from "vitest";
import type { ProxyHeartbeat } from "../../schemas/generated/types.ts";
import type { Bus } from "../../services/bus/port.ts";
import { heardAfter } from "../../services/controller/nodes/proxies.ts";
import type { Heard } from "../../services/controller/nodes/proxies.ts";
import type { Clock } from "../../services/kernel/clock.ts";
import { silent } from "../../services/kernel/log.ts";
import { Beat } from "../../services/proxy/beat.ts";

/** A beat whose time and changes the test decides. */
function setUp() {
  let now = 0;
  let tick: () => void = () => {};
  const served = new Map<string, number>();
  const sent: ProxyHeartbeat[] = [];
  const clock: Clock = {
    wall: () => now,
    mono: () => now,
    after: () => () => {},
    every: (_ms, fn) => ((tick = fn), () => {}),
  };
  const bus = { publish: (_: string, beat: ProxyHeartbeat) => void sent.push(structuredClone(beat)) } as unknown as Bus;
  const beat = new Beat({ clock, ids: { next: () => "boot" }, bus, log: silent }, "p", {
    settle: () => {},
    served: () => served.keys(),
    applied: (service) => {
      const sequence = served.get(service);
      return sequence === undefined ? undefined : { head: sequence };
    },
    open: () => ({}),
  });
  const pass = (): ProxyHeartbeat => {
    now += 1000;
    tick();
    return sent.at(-1) as ProxyHeartbeat;
  };
  return { beat, served, pass };
}

const steps = fc.array(
  fc.record({
    changes: fc.array(fc.tuple(fc.constantFrom("a", "b", "c", "d"), fc.boolean()), { maxLength: 3 }),
    lost: fc.boolean(),
  }),
  { minLength: 1, maxLength: 30 },
);

it("a leader that counts on what it heard is right, and one that missed something knows it", () => {
  fc.assert(
    fc.property(steps, fc.nat(10), (steps, joins) => {
      const { beat, served, pass } = setUp();
      let heard: Heard | undefined;
      for (const [index, { changes, lost }] of steps.entries()) {
        for (const [service, serves] of changes) {
          if (serves) served.set(service, index + 1);
          else served.delete(service);
          beat.tell(service);
        }
        const message = pass();
        if (index < joins || lost) continue;
        heard = heardAfter(heard, message);
        if (!heard.whole) continue;
        expect(heard.services).toEqual(Object.fromEntries([...served].map(([name, head]) => [name, { head }])));
      }
    }),
  );
});

it("no more than two heartbeats in a row are partial, and one without a change names no service", () => {
  const { beat, served, pass } = setUp();
  served.set("a", 1);
  beat.tell("a");
  const beats = [1, 2, 3, 4, 5, 6, 7].map(() => pass());
  expect(beats.map(({ partial = false }) => partial)).toEqual([false, true, true, false, true, true, false]);
  expect(beats.map(({ services }) => Object.keys(services).length)).toEqual([1, 0, 0, 1, 0, 0, 1]);
});
