// When a server counts as gone.
import { expect, it } from "vitest";
import { Pulse } from "../../services/bus/pulse.ts";
import type { Traffic } from "../../services/bus/pulse.ts";

const judged = (...looks: readonly (readonly [pending: number, traffic: Partial<Traffic>])[]): string[] => {
  const pulse = new Pulse();
  return looks.map(([pending, traffic]) => pulse.ping(pending, { came: 0, left: 0, waiting: 0, ...traffic }));
};

it("is gone when nothing moved between three pings that had no answer", () => {
  expect(judged([1, { came: 9 }], [2, { came: 9 }], [3, { came: 9 }])).toEqual(["beats", "falters", "gone"]);
});

it("is there while anything comes, or pings are answered", () => {
  expect(judged([1, {}], [2, { came: 1 }], [3, { came: 2 }], [4, { came: 3 }])).not.toContain("falters");
  expect(judged([1, {}], [1, {}], [1, {}], [1, {}])).not.toContain("falters");
  expect(judged([1, {}], [2, {}], [1, {}], [2, {}])).toEqual(["beats", "falters", "beats", "falters"]);
});

it("is there while what waits goes, and not for what the kernel takes from a connection on which nothing waits", () => {
  const waiting = (left: number): Partial<Traffic> => ({ left, waiting: 5 });
  expect(judged([1, waiting(1)], [2, waiting(2)], [3, waiting(3)])).not.toContain("falters");
  expect(judged([1, waiting(1)], [2, waiting(1)], [3, waiting(1)])).toEqual(["beats", "falters", "gone"]);
  expect(judged([1, { left: 1 }], [2, { left: 2 }], [3, { left: 3 }])).toEqual(["beats", "falters", "gone"]);
});
