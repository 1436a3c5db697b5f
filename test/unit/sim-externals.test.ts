// What the simulation says of proxies and external endpoints: what is gone must be gone from their tables, once somebody tells them.
import { expect, it } from "vitest";
import type { EventItem } from "../../schemas/generated/types.ts";
import { Externals } from "../simulation/externals.ts";
import { Observer } from "../simulation/observer.ts";
import { Troubles } from "../simulation/troubles.ts";

it("blames a proxy for an endpoint that is gone, after a restore not before somebody leads", () => {
  let now = 20_000;
  const troubles = new Troubles(() => now);
  const observer = new Observer(
    () => now,
    troubles,
    () => [],
  );
  const externals = new Externals(observer, troubles, () => now);
  const happens = (item: unknown): void => {
    for (const look of observer.lookers) look(item as EventItem, 1);
  };
  const elected = { kind: "leader", verb: "elected", name: "c1" };
  const removed = {
    kind: "endpoint",
    verb: "removed",
    namespace: "d",
    service: "db",
    name: "x",
    reason: "DEREGISTERED",
  };
  const endpoints = [{ pod: "d/x", external: true, addresses: [{ host: "h", hostPort: 1 }] }];
  const seen = (): string[] => {
    externals.onTable("p1", { parts: [["d.db.0", 7, { endpoints }]] });
    return observer.violations.splice(0).map(({ message }) => message);
  };
  const still = ["proxy p1 still has the external endpoint d/db/x, which is gone"];
  happens(elected);
  happens(removed);
  now += 10_000;
  expect(seen()).toEqual([]);
  now += 1000;
  expect(seen()).toEqual(still);
  // What a bucket that was made anew does not hold is kept for a while.
  troubles.begin("bus", "bucketGone")();
  now += 29_000;
  expect(seen()).toEqual([]);
  now += 1001;
  expect(seen()).toEqual(still);
  observer.forget(0);
  observer.isReplaying = true;
  happens(elected);
  happens(removed);
  observer.isReplaying = false;
  now += 60_000;
  expect(seen()).toEqual([]);
  happens(elected);
  now += 10_000;
  expect(seen()).toEqual([]);
  now += 1000;
  expect(seen()).toEqual(still);
});
