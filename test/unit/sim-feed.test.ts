// What the simulation says of a feed that leaves something out, or tells what is not in the log.
import { beforeEach, expect, it } from "vitest";
import { Feeds } from "../simulation/feed.ts";
import { Troubles } from "../simulation/troubles.ts";
import { TestCluster } from "../support/core.ts";

let now: number;
let troubles: Troubles;
let feeds: Feeds;
let said: string[];

beforeEach(() => {
  now = 100_000;
  troubles = new Troubles(() => now);
  said = [];
  feeds = new Feeds(
    () => now,
    troubles,
    (message) => said.push(message),
  );
  const { log } = new TestCluster({ n1: {}, n2: {} });
  for (const { sequence, event } of log) feeds.onEvent(sequence, event as never);
});

it("is whole from wherever it begins", () => {
  for (const [sequence, index] of [
    [1, 1],
    [2, 0],
    [3, 0],
  ] as const)
    feeds.onShown({ sequence, index });
  expect([said, feeds.count]).toEqual([[], 3]);
});

it("is blamed for what it leaves out, shows twice, or makes up", () => {
  for (const [sequence, index] of [
    [1, 0],
    [2, 0],
    [2, 0],
    [4, 0],
    [3, 1],
  ] as const)
    feeds.onShown({ sequence, index });
  expect(said).toEqual([
    "the feed shows item 0 of event 2 where item 1 of 1 was due",
    "the feed shows item 0 of event 2 where item 0 of 3 was due",
    "the feed shows item 0 of event 4, which is not in the log",
    "the feed shows item 1 of event 3, which is not in the log",
  ]);
});

it("may leave out what a leader that was disturbed could not tell, and what it says may be missing", () => {
  feeds.onShown({ sequence: 1, index: 0 });
  troubles.begin("c1", "kill")();
  feeds.onShown({ sequence: 2, index: 0 });
  now += 60_000;
  feeds.onShown({ sequence: 3, index: 0 });
  feeds.onGap();
  feeds.onShown({ sequence: 1, index: 0 });
  expect(said).toEqual([]);
});

it("is blamed for what it does not show within ten seconds, or, where something was wrong, at rest", () => {
  now += 10_000;
  feeds.look();
  expect(said).toEqual([]);
  now += 1;
  feeds.look();
  troubles.begin("watcher", "cut")();
  feeds.look();
  expect(said.splice(0)).toEqual(["event 3 is not shown on the feed for long"]);
  feeds.rest();
  expect(said).toEqual(["event 3 is not shown on the feed at rest"]);
});

it("is not blamed for what was shown, or said to be missing", () => {
  feeds.onGap();
  now += 10_001;
  feeds.look();
  feeds.onShown({ sequence: 3, index: 0 });
  feeds.look();
  feeds.rest();
  expect(said).toEqual([]);
});
