// What the world does to what is stored and to links, and what it says of that to those who judge.
import { expect, it } from "vitest";
import { ensureStreams } from "../../services/bus/streams.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { usualMs } from "../simulation/bus/link.ts";
import { Chance } from "../simulation/chance.ts";
import { Observer } from "../simulation/observer.ts";
import { Troubles } from "../simulation/troubles.ts";
import { breakReading } from "../simulation/world/breaking.ts";
import { Damage } from "../simulation/world/damage.ts";
import { edit } from "../simulation/world/edits.ts";
import { slow } from "../simulation/world/links.ts";
import { Machine } from "../simulation/world/machine.ts";
import type { World } from "../simulation/world/world.ts";
import { SimWorld } from "../support/sim-bus-world.ts";

const names = subjectsOf("default");

/** A server that holds the streams of two clusters and takes appends for the one that is named, and an observer. */
async function world(cluster = "test", synced = true) {
  const opened = await SimWorld.open({ cluster, synced });
  const { server, time } = opened;
  const { bus } = await opened.client();
  await time.until(ensureStreams(bus, "default", { replicas: 1 }));
  await time.pass(20_000);
  const troubles = new Troubles(() => time.mono());
  const observer = new Observer(
    () => time.mono(),
    troubles,
    () => [],
  );
  const trace = { note: () => {} };
  const timeline = { now: time.mono(), after: (ms: number, fn: () => void) => time.after(ms, fn) };
  const said = { controllers: [{ leads: false }], onlooker: { clock: time }, operators: [] };
  const parts = { server, observer, trace, timeline, chance: new Chance("a"), synced, ...said };
  return { bus, server, time, observer, world: parts as unknown as World };
}

it("says which edits of endpoints proxies do not take, and those alone", async () => {
  const { server, time, observer, world: edited } = await world();
  const { endpoints } = names.buckets;
  const key = "default.web.head";
  const [before] = [{ logId: "l", sequence: 7 }];
  const chance = new Chance("edits");
  const seen = new Set<boolean>();
  for (let nth = 0; nth < 300; nth += 1) {
    const known = server.strayPut(endpoints, key, JSON.stringify(before));
    observer.tables.onEndpoints(server.keys.revisions(endpoints));
    edit(edited, chance);
    const revisions = server.keys.revisions(endpoints);
    observer.tables.onEndpoints(revisions);
    await time.pass(9000);
    const value = server.keys.values(endpoints).get(key);
    const isTaken = value === undefined || isOf(value, before);
    const isEdited = revisions.get(key) !== known;
    seen.add(isTaken);
    const { length } = observer.violations;
    observer.tables.onTable("p1", { parts: [[key, known, before]] });
    const expected = isTaken && isEdited ? [expect.stringContaining(`${key},`)] : [];
    const violations = observer.violations.slice(length).map(({ message }) => message);
    expect(violations, value).toEqual(expected);
    for (const extra of revisions.keys()) if (extra !== key) server.strayPut(endpoints, extra, null, "PURGE");
  }
  expect(seen.size).toBe(2);
});

function isOf(value: string, before: { logId: string; sequence: number }): boolean {
  try {
    const { logId, sequence } = JSON.parse(value) as typeof before;
    return logId === before.logId && sequence >= before.sequence;
  } catch {
    return false;
  }
}

it("says which record is gone from the middle of the log", async () => {
  const { server, observer, world: damaged } = await world("default");
  for (let at = 1; at <= 20; at += 1) server.strayAppend(names.eventBatch, new Uint8Array([at]));
  new Damage(damaged).loseRecord(0.5);
  const gone = Array.from({ length: 20 }, (_, at) => at + 1).filter((at) => server.log().get(at) === undefined);
  expect([gone.length, [...observer.gone]]).toEqual([1, gone]);
  // What is written there after the log has lost its end is another record.
  observer.forget(Number(gone[0]));
  expect([...observer.gone]).toEqual(gone);
  observer.forget(Number(gone[0]) - 1);
  expect([...observer.gone]).toEqual([]);
});

it("has a machine be slow as long as any fault makes it so, and then no more", () => {
  const machine = new Machine("c1", "10.0.0.1");
  const link = machine.link();
  const [first, second] = [slow(machine, 0.2), slow(machine, 1)];
  first();
  expect(link.latencyMs).toEqual([50, 900]);
  expect(machine.link().latencyMs).toEqual([50, 900]);
  second();
  expect(link.latencyMs).toBe(usualMs);
});

it("breaks the server as somebody reads who is told of records that are lost, and has it back soon, while nobody leads", async () => {
  const { bus, server, time, world: broken } = await world("default", false);
  const append = (): number => server.strayAppend(names.eventBatch, new Uint8Array([1]));
  for (let at = 0; at < 10; at += 1) append();
  await time.pass(20_000);
  server.sync();
  for (let at = 0; at < 10; at += 1) {
    append();
    await time.pass(10);
  }
  const { last } = server.log();
  const [controller] = broken.controllers as unknown as [{ leads: boolean }];
  const read = async (): Promise<number> => {
    let seen = 0;
    await time.until(bus.log(names.stream).read(last - 1, ({ sequence }) => (seen = sequence)));
    return seen;
  };
  controller.leads = true;
  const over = breakReading(broken, new Chance("b"), 1);
  expect([await read(), await read(), server.counters.powerCuts]).toEqual([last, last, 0]);
  controller.leads = false;
  const seen = await read();
  expect(server.counters.powerCuts).toBe(1);
  // Not more than what was asked for, and at least the newest.
  expect(server.log().last).toBeGreaterThanOrEqual(last - 2);
  expect(server.log().last).toBeLessThan(last);
  expect(seen).toBeLessThan(last);
  over();
});
