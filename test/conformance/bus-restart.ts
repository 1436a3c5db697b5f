// What every bus must do while its server is away, and after it. Run by `busConformance`.
import { beforeAll, describe, expect, it } from "vitest";
import type { Bus } from "../../services/bus/port.ts";
import type { Subjects } from "../../services/bus/subjects.ts";
import { bytes, codeOf, fresh, until, waitMs, watcher } from "../support/bus-world.ts";
import type { BusWorld, OpenedWorld } from "../support/bus-world.ts";

const awayMs = 1000;

export function restartConformance(opened: () => OpenedWorld): void {
  describe("a server that is killed and started again", () => {
    let world: BusWorld;
    let bus: Bus;
    let other: Bus;
    let names: Subjects;
    beforeAll(() => {
      ({ world, bus, other, names } = opened());
    });

    it("keeps what was acknowledged; all are told, and go on where they were", async () => {
      const log = bus.log(names.stream);
      const append = (value: unknown, at: number): Promise<number> =>
        log.append(names.event("pod", "default", "web-1", "placed"), bytes(value), {
          expectedSequence: at,
          messageId: fresh(),
          timeoutMs: waitMs,
        });
      const at = await append({ n: 1 }, (await log.tail()).last);
      const [key, gone] = [`${fresh()}.a`, `${fresh()}.b`];
      const revision = await bus.bucket(names.buckets.pods).put(key, "1", 0);
      const marker = await bus
        .bucket(names.buckets.pods)
        .remove(gone, await bus.bucket(names.buckets.pods).put(gone, "1", 0));
      const watch = watcher(other, names.buckets.pods, key);
      const followed: number[] = [];
      const cancel = other.log(names.stream).follow(at, ({ sequence }) => followed.push(sequence));
      await until(() => watch.loads.length === 1 && followed.length === 1, "both read");
      const to = names.api("_", "test", fresh());
      const heard: unknown[] = [];
      other.subscribe(to, (message) => heard.push(message.json()));
      await other.flush(waitMs);
      const states: string[] = [];
      const stop = bus.onState((state) => states.push(state));
      const breaks = bus.breaks();
      const unanswered = codeOf(bus.request(to, "unanswered", { timeoutMs: 3000 }));
      await bus.flush(waitMs);

      await world.kill();
      await until(() => bus.state() === "disconnected" && other.state() === "disconnected", "both know");
      bus.publish(to, "lost");
      const flushed = codeOf(bus.flush(20_000));
      const late = codeOf(bus.request(names.api("_", "test", fresh()), "late", { timeoutMs: 20_000 }));
      expect(await codeOf(bus.flush(50))).toBe("TIMEOUT");
      expect(await codeOf(bus.request(to, "in vain", { timeoutMs: 50 }))).toBe("TIMEOUT");
      expect(await codeOf(log.append("x", bytes(1), { expectedSequence: 0, messageId: fresh(), timeoutMs: 50 }))).toBe(
        "TIMEOUT",
      );
      await new Promise((resolve) => setTimeout(resolve, awayMs));
      await world.start();

      await until(() => bus.state() === "connected" && other.state() === "connected", "both are back");
      expect([await flushed, await late, await unanswered]).toEqual(["none", "NO_LEADER", "TIMEOUT"]);
      expect(states).toEqual(["disconnected", "connected"]);
      expect(bus.breaks()).toBe(breaks + 1);
      await other.flush(waitMs);
      bus.publish(to, "heard");
      await until(() => heard.includes("heard"), "it was heard");
      expect(heard).toEqual(["unanswered", "heard"]);
      expect((await log.tail()).last).toBe(at);
      expect((await log.get(at))?.sequence).toBe(at);
      expect(await bus.bucket(names.buckets.pods).get(key)).toEqual({ key, value: "1", revision });
      expect(await bus.bucket(names.buckets.pods).get(gone)).toEqual({ key: gone, value: null, revision: marker });
      await until(() => watch.loads.length === 2, "it was loaded again");
      await append({ n: 2 }, at);
      await bus.bucket(names.buckets.pods).put(key, "2", revision);
      await until(() => followed.length === 2 && watch.value(key) === "2", "both go on");
      expect(followed).toEqual([at, at + 1]);
      stop();
      cancel();
      watch.cancel();
    });

    it("never stores a message twice that was stored before", async () => {
      const log = bus.log(names.stream);
      const { last } = await log.tail();
      const append = (at: number): Promise<number> =>
        log.append(names.event("pod", "default", "web-1", "placed"), bytes("x"), {
          expectedSequence: at,
          messageId: `before-${last}`,
          timeoutMs: waitMs,
        });
      expect(await append(last)).toBe(last + 1);
      await world.kill();
      await until(() => bus.state() === "disconnected", "it knows");
      await world.start();
      await until(() => bus.state() === "connected", "it is back");
      await codeOf(append(last));
      await codeOf(append(last + 1));
      expect((await log.tail()).last).toBe(last + 1);
    });
  });
}
