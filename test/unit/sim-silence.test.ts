// What the simulation's observer takes for a silence that a leader may speak of.
import { expect, it } from "vitest";
import { Silence } from "../simulation/silence.ts";
import { Troubles } from "../simulation/troubles.ts";
import { TestCluster } from "../support/core.ts";

/** A judge of a cluster with one node, at its begin. */
function watched() {
  const time = { now: -60_000 };
  const troubles = new Troubles(() => time.now);
  const messages: string[] = [];
  const silence = new Silence(
    () => time.now,
    troubles,
    (message) => messages.push(message),
  );
  const { state } = new TestCluster({ n1: {} });
  time.now = 0;
  return { silence, troubles, state, messages, time };
}

const unheard = { kind: "node", verb: "unknown", name: "n1", reason: "NODE_UNHEARD", message: "" } as const;

it.each([
  ["a node whose heartbeats came late, all at once", [0, 4700, 4701, 4702], 4703, "", []],
  ["a node that spoke a second ago", [0, 1000, 2000, 3000], 4000, "", ["after 1000 ms"]],
  ["a node whose word is on its way to a slow leader", [0, 4200, 4900], 5200, "slow", []],
  ["a node that a slow leader has heard", [0, 1000, 2000, 3000, 4000], 5200, "slow", ["after 2200 ms"]],
])("%s is judged by the last word that was not on its way", (_what, beats, at, trouble, blamed) => {
  const { silence, troubles, state, messages, time } = watched();
  if (trouble !== "") troubles.begin(state.leader, trouble);
  const over = troubles.begin("n1", "cut");
  for (const beat of beats) {
    time.now = beat;
    silence.onBeat("n1");
  }
  time.now = at;
  over();
  silence.onNode(state, unheard, 9, false);
  expect(messages.map((message) => /after \d+ ms/.exec(message)?.[0])).toEqual(blamed);
});

it.each([
  ["mute", "", ["though it answers pings"]],
  ["mute", "lossy", []],
  ["cut", "", []],
])(
  "a node that is %s may be called unheard only if it cannot answer, by a leader that is well or %s",
  (kind, trouble, blamed) => {
    const { silence, troubles, state, messages, time } = watched();
    silence.onBeat("n1");
    troubles.begin("n1", kind);
    if (trouble !== "") troubles.begin(state.leader, trouble);
    time.now = 6000;
    silence.onNode(state, unheard, 9, false);
    expect(messages.map((message) => /though .*/.exec(message)?.[0])).toEqual(blamed);
  },
);

it("a node under whose id two agents run is not judged by when either was heard", () => {
  const { silence, troubles, state, messages, time } = watched();
  troubles.begin("n1", "doubled");
  time.now = 3000;
  silence.onBeat("n1");
  time.now = 6000;
  silence.onNode(state, unheard, 9, false);
  expect(messages).toEqual([]);
});

it("a node that is said to be unheard stays so for the judge while people want something of it", () => {
  let now = 0;
  const messages: string[] = [];
  const silence = new Silence(
    () => now,
    new Troubles(() => now),
    (message) => messages.push(message),
  );
  const { state } = new TestCluster({ n1: {} });
  const said = (reason: "MASS_LOSS_HELD" | "NODE_UNHEARD") =>
    ({ kind: "node", verb: "unknown", name: "n1", reason, message: "" }) as const;
  silence.onNode(state, said("MASS_LOSS_HELD"), 9, false);
  const before = messages.length;
  now = 60_000;
  silence.onNode(state, { kind: "node", verb: "uncordoned", name: "n1", reason: "", message: "" }, 10, false);
  silence.onNode(state, said("NODE_UNHEARD"), 11, false);
  expect(messages).toHaveLength(before);
});
