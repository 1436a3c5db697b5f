import { expect, it, vi } from "vitest";
import type { Clock } from "../../services/kernel/clock.ts";
import type { Disk } from "../../services/kernel/disk.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { silent } from "../../services/kernel/log.ts";
import { TableStore } from "../../services/proxy/store.ts";

function setUp(content: string | null = null) {
  const timers: (() => void)[] = [];
  const clock = { after: (_ms: number, fn: () => void) => (timers.push(fn), () => {}) } as unknown as Clock;
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
  return { store, timers, written, warn, fail: (on: boolean) => (failing = on) };
}

it("many changes make one write", async () => {
  const { store, timers, written } = setUp();
  for (let n = 0; n < 100; n += 1) store.changed();
  expect(timers).toHaveLength(1);
  timers[0]?.();
  await store.flush();
  expect(written).toEqual(['{"cluster":"c1","logId":"a","parts":[]}']);
});

it("a failed write is said once and tried again with the next change", async () => {
  const { store, written, warn, fail } = setUp();
  fail(true);
  for (let n = 0; n < 3; n += 1) {
    store.changed();
    await store.flush();
  }
  expect(warn).toHaveBeenCalledTimes(1);
  fail(false);
  store.changed();
  await store.flush();
  expect(written).toHaveLength(1);
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
