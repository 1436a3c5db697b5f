// What the simulation takes for a leader that nobody elected.
import { expect, it } from "vitest";
import { Terms } from "../simulation/terms.ts";
import { Troubles } from "../simulation/troubles.ts";

const own = { name: "c1", leads: true, state: { epoch: 1, leader: "c1" } };
const foreign = { name: "c1", leads: true, state: { epoch: 9, leader: "c2" } };

it.each([
  ["one that was elected", 40_000, own, "", []],
  ["one that follows", 40_000, { ...foreign, leads: false }, "", []],
  ["one that reads of another's election just now", 10_000, foreign, "", []],
  ["one that leads on in the term of another", 40_000, foreign, "", ["c1 leads in the term of c2, which began at 9"]],
  ["one that stands still meanwhile", 40_000, foreign, "pause", []],
])("%s", (_what, ms, controller, trouble, blamed) => {
  const time = { now: 0 };
  const troubles = new Troubles(() => time.now);
  const messages: string[] = [];
  const terms = new Terms(
    () => time.now,
    troubles,
    (message) => messages.push(message),
  );
  if (trouble !== "") troubles.begin("c1", trouble);
  for (; time.now <= ms; time.now += 5000) terms.look([controller]);
  expect(messages).toEqual(blamed);
});
