// What the simulation takes for a standby that follows a log which is not there any more.
import { expect, it } from "vitest";
import { Standbys } from "../simulation/standbys.ts";
import { Troubles } from "../simulation/troubles.ts";
import { bytes } from "../support/bus-world.ts";

const archive = ["a", "b", "c", "d"].map((id, at) => ({ sequence: at + 1, data: bytes({ id }) }));
const log = { archive, state: { accepted: 4, lastEventId: "d" } };
const standby = (accepted: number, lastEventId: string) => ({
  name: "c2",
  leads: false,
  isIdle: false,
  state: { accepted, lastEventId },
});
const lost = standby(3, "x");
const blame = ["c2 stands by, and holds event 3 for another than the log does"];

it.each([
  ["one that has read all", 40_000, standby(4, "d"), "", []],
  ["one that is behind", 40_000, standby(2, "b"), "", []],
  ["one that has read nothing", 40_000, standby(0, ""), "", []],
  ["one that holds what the log lost, for a moment", 20_000, lost, "", []],
  ["one that holds what the log lost", 40_000, lost, "", blame],
  ["one that holds what is beyond the log's end", 40_000, standby(9, "x"), "", [blame[0]?.replace("3", "9")]],
  ["one that leads", 40_000, { ...lost, leads: true }, "", []],
  ["one that waits for its update", 40_000, { ...lost, isIdle: true }, "", []],
  ["one that is cut off", 40_000, lost, "c2", []],
  ["one whose server is gone", 40_000, lost, "bus", []],
])("%s", (_what, ms, controller, place, blamed) => {
  const time = { now: 0 };
  const troubles = new Troubles(() => time.now);
  const messages: string[] = [];
  const standbys = new Standbys(
    () => time.now,
    troubles,
    (message) => messages.push(message),
  );
  if (place !== "") troubles.begin(place, "cut");
  for (; time.now <= ms; time.now += 2000) standbys.look([controller], log);
  expect(messages).toEqual(blamed);
});
