import { expect, it, vi } from "vitest";
import type { Disk } from "../../services/kernel/disk.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { silent } from "../../services/kernel/log.ts";
import { TableStore } from "../../services/proxy/store.ts";
import { ManualClock } from "../support/agent.ts";

function setUp(content: string | null = null) {
  const clock = new ManualClock();
  const written: string[] = [];
  const warn = vi.fn();
  let failing = false;
  const disk = {
    read: async () => content,
    writeAtomic: async (_path: string, text: string) => {
      if (failing) throw new SwainError("DISK_ERROR", "full");
      written.push(text);
    },
  } as unknown as Disk;
  const store = new TableStore({ clock, disk, log: { ...silent, warn } }, "/x", "c1", () => ({
    logId: "a",
    parts: [],
  }));
  return { store, clock, written, warn, fail: (on: boolean) => (failing = on) };
}

it("many changes make one write", async () => {
  const { store, clock, written } = setUp();
  for (let n = 0; n < 100; n += 1) store.changed();
  await clock.advance(10_000);
  expect(written).toEqual(['{"cluster":"c1","logId":"a","parts":[]}']);
});

it("a failed write is said once and tried again, also when nothing changes any more", async () => {
  const { store, clock, written, warn, fail } = setUp();
  fail(true);
  store.changed();
  await clock.advance(60_000);
  expect(warn).toHaveBeenCalledTimes(1);
  fail(false);
  await clock.advance(2000);
  expect(written).toHaveLength(1);
  await clock.advance(60_000);
  expect(written).toHaveLength(1);
});

it("what could not be written is tried once more at the end, and then no more", async () => {
  const { store, clock, written, fail } = setUp();
  fail(true);
  store.changed();
  await clock.advance(1500);
  await store.close();
  fail(false);
  await clock.advance(60_000);
  expect(written).toEqual([]);
  const other = setUp();
  other.store.changed();
  await other.store.close();
  expect(other.written).toHaveLength(1);
});

it("what was saved is loaded; nothing, garbage, and another cluster's are not", async () => {
  const part = ["default.web.head", 3, {}];
  const saved = { cluster: "c1", logId: "a", parts: [part] };
  expect(await setUp(JSON.stringify(saved)).store.load()).toMatchObject({ logId: "a", parts: [part] });
  for (const bad of [null, "{", "[]", "3", '{"cluster":"c1"}', JSON.stringify({ ...saved, cluster: "c2" })]) {
    expect(await setUp(bad).store.load()).toBeUndefined();
  }
  expect(await setUp(JSON.stringify({ ...saved, parts: [[1, 2]] })).store.load()).toBeUndefined();
});
