// What every bus must do with the log. Run by `busConformance`.
import { beforeAll, describe, expect, it } from "vitest";
import type { Bus, LogRecord } from "../../services/bus/port.ts";
import type { Subjects } from "../../services/bus/subjects.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { bytes, codeOf, fresh, until, waitMs } from "../support/bus-world.ts";
import type { OpenedWorld } from "../support/bus-world.ts";

const decoder = new TextDecoder();

export function logConformance(opened: () => OpenedWorld): void {
  describe("the log", () => {
    let bus: Bus;
    let other: Bus;
    let names: Subjects;
    beforeAll(() => {
      ({ bus, other, names } = opened());
    });
    const append = (value: unknown, expectedSequence: number, messageId = fresh(), via = bus): Promise<number> =>
      via.log(names.stream).append(names.event("pod", "default", "web-1", "placed"), bytes(value), {
        expectedSequence,
        messageId,
        timeoutMs: waitMs,
      });
    const last = async (): Promise<number> => (await bus.log(names.stream).tail()).last;
    const ask = (verb: string, value: unknown): Promise<unknown> =>
      bus.request(`$JS.API.STREAM.${verb}`, value, { timeoutMs: waitMs });
    const removeRecord = (seq: number): Promise<unknown> => ask(`MSG.DELETE.${names.stream}`, { seq, no_erase: true });
    const setRoom = async (stream: string, most: number): Promise<void> => {
      const info = await bus.request(`$JS.API.STREAM.INFO.${stream}`, undefined, { timeoutMs: waitMs });
      const { config } = info.json() as { config: object };
      await ask(`UPDATE.${stream}`, { ...config, max_bytes: most });
    };
    const shown = (record: LogRecord | null): unknown =>
      record && [record.sequence, JSON.parse(decoder.decode(record.data))];

    it("is empty at first: the last sequence is one before the first", async () => {
      const tail = await bus.log(names.stream).tail();
      expect(tail).toEqual({ first: 1, last: 0, replicas: 1, heardAgoMs: 0 });
      expect(await bus.log(names.stream).get(1)).toBeNull();
      await bus.log(names.stream).read(1, () => expect.fail("there is no record"));
    });

    it("appends at the expected sequence and gives records back", async () => {
      const at = await last();
      const before = Date.now();
      expect(await append({ n: "a" }, at)).toBe(at + 1);
      expect(await append({ n: "b" }, at + 1)).toBe(at + 2);
      const record = await other.log(names.stream).get(at + 2);
      expect(shown(record)).toEqual([at + 2, { n: "b" }]);
      expect(record?.subject).toBe(names.event("pod", "default", "web-1", "placed"));
      expect(Math.abs((record?.time ?? 0) - before)).toBeLessThan(60_000);
      expect(await other.log(names.stream).tail()).toMatchObject({ first: 1, last: at + 2, replicas: 1 });
    });

    it("tells who listens what an append expected, and of what nobody stated conditions for that it expected nothing", async () => {
      const subject = names.event("pod", "default", "web-1", "placed");
      const told: (string | undefined)[] = [];
      const cancel = other.subscribe(subject, (message) => told.push(message.header("Nats-Expected-Last-Sequence")));
      await other.flush(waitMs);
      const at = await last();
      await append({ n: "told" }, at);
      bus.publish(subject, { n: "stray" });
      await until(() => told.length === 2, "both are told");
      expect(told).toEqual([String(at), undefined]);
      for (let tries = 0; tries < 500 && (await last()) < at + 2; tries++) await bus.flush(waitMs);
      expect(await last()).toBe(at + 2);
      cancel();
    });

    it("rejects an append that expects another end with APPEND_CONFLICT and stores nothing", async () => {
      const at = await append({ n: "c" }, await last());
      expect(await codeOf(append({ n: "x" }, at - 1))).toBe("APPEND_CONFLICT");
      expect(await codeOf(append({ n: "x" }, at + 1))).toBe("APPEND_CONFLICT");
      expect(await last()).toBe(at);
    });

    it("lets exactly one of many writers that expect the same end win", async () => {
      const at = await last();
      const codes = await Promise.all(
        Array.from({ length: 20 }, (_, n) => codeOf(append({ n }, at, fresh(), n % 2 === 0 ? bus : other))),
      );
      expect(codes.filter((code) => code === "none")).toHaveLength(1);
      expect(codes.filter((code) => code === "APPEND_CONFLICT")).toHaveLength(19);
      expect(await last()).toBe(at + 1);
    });

    it("never stores a repeated append twice, and the next sequence settles whose it was", async () => {
      const at = await last();
      const messageId = fresh();
      await append({ id: "mine" }, at, messageId);
      // Servers differ in what they answer; what is stored is the truth.
      await codeOf(append({ id: "mine" }, at, messageId));
      expect(shown(await bus.log(names.stream).get(at + 1))).toEqual([at + 1, { id: "mine" }]);
      expect(await bus.log(names.stream).get(at + 2)).toBeNull();
      expect(await last()).toBe(at + 1);
    });

    it("reads from any sequence to the end, in order", async () => {
      let at = await last();
      const from = at + 1;
      for (let n = 0; n < 300; n += 1) at = await append({ n }, at);
      const read: unknown[] = [];
      await other.log(names.stream).read(from, (record) => read.push(shown(record)));
      expect(read).toEqual(Array.from({ length: 300 }, (_, n) => [from + n, { n }]));
      await other.log(names.stream).read(at + 1, () => expect.fail("there is no record"));
      let all = 0;
      await other.log(names.stream).read(0, () => (all += 1));
      expect(all).toBe(at);
    });

    it("reads to the end where the last record was removed by hand", async () => {
      let at = await append({ n: "stays" }, await last());
      at = await append({ n: "goes" }, at);
      await removeRecord(at);
      const read: unknown[] = [];
      await other.log(names.stream).read(at - 1, (record) => read.push(shown(record)));
      expect(read).toEqual([[at - 1, { n: "stays" }]]);
      await other.log(names.stream).read(at, () => expect.fail("there is no record"));
      // What follows looks a few records back.
      for (let n = 0; n < 10; n += 1) at = await append({ n }, at);
    });

    it("rejects a read whose reader throws, with what it threw", async () => {
      const broken = bus.log(names.stream).read(1, () => {
        throw new SwainError("LOG_UNKNOWN_EVENT", "no such event");
      });
      expect(await codeOf(broken)).toBe("LOG_UNKNOWN_EVENT");
    });

    it("follows from a sequence on without a gap, and stops when cancelled", async () => {
      let at = await last();
      const from = at - 5;
      const sequences: number[] = [];
      const cancel = other.log(names.stream).follow(from, (record) => sequences.push(record.sequence));
      for (let n = 0; n < 50; n += 1) at = await append({ n }, at);
      await until(() => sequences.length >= 56, "all were told");
      cancel();
      cancel();
      await append({ n: "after" }, at);
      await other.flush(waitMs);
      expect(sequences).toEqual(Array.from({ length: 56 }, (_, n) => from + n));
    });

    it("tells a follower whose place lies beyond the end that the log is broken", async () => {
      const at = await last();
      const tails: unknown[] = [];
      bus.log(names.stream).follow(
        at + 100,
        () => expect.fail("there is no record"),
        (tail) => tails.push(tail),
      );
      await until(() => tails.length === 1, "it was told");
      expect(tails).toEqual([{ first: 1, last: at }]);
    });

    it("cuts its beginning: what is left keeps its sequences, and the rest is gone for every reader", async () => {
      const at = await last();
      await other.log(names.stream).cut(at - 10);
      expect(await bus.log(names.stream).tail()).toMatchObject({ first: at - 9, last: at });
      expect(await bus.log(names.stream).get(at - 10)).toBeNull();
      expect((await bus.log(names.stream).get(at - 9))?.sequence).toBe(at - 9);
      const read: number[] = [];
      await bus.log(names.stream).read(1, ({ sequence }) => read.push(sequence));
      expect(read).toEqual(Array.from({ length: 10 }, (_, n) => at - 9 + n));
      const some: number[] = [];
      await bus.log(names.stream).read(at - 5, ({ sequence }) => some.push(sequence), at - 3);
      expect(some).toEqual([at - 5, at - 4, at - 3]);
      // Cutting what is cut already, or nothing, changes nothing.
      await bus.log(names.stream).cut(at - 20);
      await bus.log(names.stream).cut(0);
      expect(await bus.log(names.stream).tail()).toMatchObject({ first: at - 9, last: at });
      expect(await append({ n: "after the cut" }, at)).toBe(at + 1);
    });

    it("lets a follower go on over a cut behind it, and tells one whose place was cut away", async () => {
      let at = await last();
      const sequences: number[] = [];
      const cancel = other.log(names.stream).follow(at, (record) => sequences.push(record.sequence));
      await until(() => sequences.length === 1, "it follows");
      await bus.log(names.stream).cut(at - 1);
      at = await append({ n: "on" }, at);
      await until(() => sequences.length === 2, "it was told");
      cancel();
      const tails: unknown[] = [];
      const stop = other.log(names.stream).follow(
        at - 3,
        () => expect.fail("its place is gone"),
        (tail) => tails.push(tail),
      );
      await until(() => tails.length === 1, "it was told");
      expect(tails).toEqual([{ first: at - 1, last: at }]);
      stop();
    });

    it("removes the records of one subject alone, and says how much room there is", async () => {
      let at = await last();
      const log = bus.log(names.stream);
      const odd = names.event("node", undefined, "n1", "ready");
      const options = { timeoutMs: waitMs };
      for (let n = 0; n < 4; n += 1) {
        const subject = n % 2 === 0 ? odd : names.event("node", undefined, "n2", "ready");
        at = await log.append(subject, bytes({ n }), { expectedSequence: at, messageId: fresh(), ...options });
      }
      const before = await log.room();
      await log.cut(at, odd);
      expect(await log.get(at - 3)).toBeNull();
      expect(await log.get(at - 1)).toBeNull();
      expect((await log.get(at - 2))?.sequence).toBe(at - 2);
      expect((await log.tail()).last).toBe(at);
      const after = await log.room();
      expect(after.used).toBeLessThan(before.used);
      expect(after.most).toBeGreaterThan(after.used);
    });

    it("never stores a message twice, whatever end it expects", async () => {
      const at = await last();
      const messageId = fresh();
      await append({ n: "once" }, at, messageId);
      await codeOf(append({ n: "once" }, at + 1, messageId));
      expect(await last()).toBe(at + 1);
      // What was refused was not stored, and may come again.
      const refused = fresh();
      expect(await codeOf(append({ n: "again" }, at, refused))).toBe("APPEND_CONFLICT");
      expect(await append({ n: "again" }, at + 1, refused)).toBe(at + 2);
    });

    it("tells a follower that the log is broken where a record was removed that it had not been told", async () => {
      let at = await last();
      const from = at + 1;
      for (let n = 0; n < 3; n += 1) at = await append({ n }, at);
      await removeRecord(at - 1);
      const told: number[] = [];
      const tails: unknown[] = [];
      const cancel = other.log(names.stream).follow(
        from,
        ({ sequence }) => told.push(sequence),
        (tail) => tails.push(tail),
      );
      await until(() => tails.length === 1, "it was told");
      expect(told).toEqual([from]);
      const { first } = await bus.log(names.stream).tail();
      expect(tails).toEqual([{ first, last: at }]);
      cancel();
      expect(await bus.log(names.stream).get(at - 1)).toBeNull();
      const read: number[] = [];
      await other.log(names.stream).read(from, ({ sequence }) => read.push(sequence));
      expect(read).toEqual([from, at]);
    });

    it("takes nothing more once it is full, says a conflict first, and takes more after a cut", async () => {
      let at = await last();
      for (let n = 0; n < 20; n += 1) at = await append({ n, filler: "x".repeat(500) }, at);
      const log = bus.log(names.stream);
      const { used, most } = await log.room();
      await setRoom(names.stream, used + 300);
      expect(await codeOf(append({ filler: "x".repeat(2000) }, at))).toBe("LOG_FULL");
      expect(await codeOf(append({ filler: "x".repeat(2000) }, at - 1))).toBe("APPEND_CONFLICT");
      expect(await log.tail()).toMatchObject({ last: at });
      expect(await log.room()).toEqual({ used, most: used + 300 });
      await log.cut(at - 10);
      expect(await append({ filler: "x".repeat(2000) }, at)).toBe(at + 1);
      await setRoom(names.stream, most);
    });

    it("lets an empty log begin anywhere, where the server can", async () => {
      const at = await last();
      const log = bus.log(names.stream);
      if (!bus.features.emptyCut) return;
      await log.cut(at + 1000);
      expect(await log.tail()).toMatchObject({ first: at + 1001, last: at + 1000 });
      expect(await append({ n: "far" }, at + 1000)).toBe(at + 1001);
      expect((await log.get(at + 1001))?.sequence).toBe(at + 1001);
      expect(await append({ n: "on" }, at + 1001)).toBe(at + 1002);
      expect(await log.tail()).toMatchObject({ first: at + 1001, last: at + 1002 });
    });
  });
}
