// What every bus must do with KV buckets. Run by `busConformance`.
import { beforeAll, describe, expect, it } from "vitest";
import type { Bus, BusMessage } from "../../services/bus/port.ts";
import { ensureBucket } from "../../services/bus/streams.ts";
import type { BucketName, Subjects } from "../../services/bus/subjects.ts";
import { codeOf, fresh, until, waitMs, watcher } from "../support/bus-world.ts";
import type { OpenedWorld } from "../support/bus-world.ts";

export function bucketConformance(opened: () => OpenedWorld): void {
  describe("a bucket", () => {
    let bus: Bus;
    let other: Bus;
    let names: Subjects;
    beforeAll(() => {
      ({ bus, other, names } = opened());
    });
    const name = (bucket: BucketName = "pods"): string => names.buckets[bucket];

    it("gives null for a key that was never written", async () => {
      expect(await bus.bucket(name()).get(`${fresh()}.a`)).toBeNull();
    });

    it("writes, changes and deletes a key at its revision", async () => {
      const bucket = bus.bucket(name());
      const key = `${fresh()}.a`;
      const first = await bucket.put(key, "one", 0);
      expect(await other.bucket(name()).get(key)).toEqual({ key, value: "one", revision: first });
      const second = await bucket.put(key, "two", first);
      expect(second).toBeGreaterThan(first);
      const marker = await bucket.remove(key, second);
      expect(await bucket.get(key)).toEqual({ key, value: null, revision: marker });
      const again = await bucket.put(key, "", marker);
      expect(await bucket.get(key)).toEqual({ key, value: "", revision: again });
    });

    it("rejects a write at another revision with KV_CONFLICT and changes nothing", async () => {
      const bucket = bus.bucket(name());
      const key = `${fresh()}.a`;
      expect(await codeOf(bucket.put(key, "x", 5))).toBe("KV_CONFLICT");
      const revision = await bucket.put(key, "one", 0);
      expect(await codeOf(bucket.put(key, "x", 0))).toBe("KV_CONFLICT");
      expect(await codeOf(bucket.put(key, "x", revision + 1))).toBe("KV_CONFLICT");
      expect(await codeOf(bucket.remove(key, 0))).toBe("KV_CONFLICT");
      expect(await bucket.get(key)).toEqual({ key, value: "one", revision });
    });

    it("lets exactly one of many writers at the same revision win", async () => {
      const key = `${fresh()}.a`;
      const codes = await Promise.all(
        Array.from({ length: 20 }, (_, n) => codeOf((n % 2 === 0 ? bus : other).bucket(name()).put(key, String(n), 0))),
      );
      expect(codes.filter((code) => code === "none")).toHaveLength(1);
      expect(codes.filter((code) => code === "KV_CONFLICT")).toHaveLength(19);
    });

    it("refuses what is not a key with INVALID_ARGUMENT", async () => {
      for (const key of ["", "a..b", "a b", "a.>", "*", "a."]) {
        expect(await codeOf((async () => bus.bucket(name()).put(key, "x", 0))())).toBe("INVALID_ARGUMENT");
      }
    });

    it("loads every key, deleted ones as markers, with many writes in flight", async () => {
      const bucket = bus.bucket(name("workloads"));
      const prefix = fresh();
      const before = await bucket.load();
      await Promise.all(Array.from({ length: 500 }, (_, n) => bucket.put(`${prefix}.k${n}`, `v${n}`, 0)));
      const gone = await bucket.get(`${prefix}.k7`);
      await bucket.remove(`${prefix}.k7`, gone?.revision ?? -1);
      const loaded = await other.bucket(name("workloads")).load();
      expect(loaded.size).toBe(before.size + 500);
      expect(loaded.get(`${prefix}.k499`)?.value).toBe("v499");
      expect(loaded.get(`${prefix}.k7`)?.value).toBeNull();
    });

    it("tells a watcher every live key, the end of the load, and then changes up to each key's last", async () => {
      const bucket = bus.bucket(name("nodes"));
      const prefix = fresh();
      const key = (name: string): string => `${prefix}.${name}`;
      const a = await bucket.put(key("a"), "1", 0);
      const b = await bucket.put(key("b"), "1", 0);
      await bucket.remove(key("b"), b);
      await bucket.put(`${fresh()}.c`, "1", 0);
      const watch = watcher(other, name("nodes"), `${prefix}.*`);
      await until(() => watch.loads.length === 1, "it was loaded");
      expect(watch.told).toEqual([{ key: key("a"), value: "1", revision: a }]);
      expect(watch.loads).toEqual([new Set([key("a")])]);
      const changed = await bucket.put(key("a"), "2", a);
      const marker = await bucket.remove(key("a"), changed);
      const d = await bucket.put(key("d"), "1", 0);
      await until(() => watch.entries.has(key("d")), "the changes were told");
      const changes = [
        { key: key("a"), value: "2", revision: changed },
        { key: key("a"), value: null, revision: marker },
        { key: key("d"), value: "1", revision: d },
      ];
      // A starved machine may cost the watch its consumer; it then tells what is there anew, instead of each change.
      const whole = watch.loads.length === 1;
      // A bucket keeps the last value of a key alone: what is replaced before the server sent it is told to nobody.
      const withoutTwo = changes.slice(1);
      if (whole) expect([changes, withoutTwo]).toContainEqual(watch.told.slice(1));
      else expect([...(watch.loads.at(-1) ?? [])]).toEqual([key("d")]);
      const { length } = watch.told;
      watch.cancel();
      watch.cancel();
      await bucket.put(key("e"), "1", 0);
      await other.flush(waitMs);
      expect(watch.told).toHaveLength(length);
    });

    it("ends the load of a watch whose filter matches nothing", async () => {
      const watch = watcher(other, name("nodes"), "nothing.*");
      await until(() => watch.loads.length === 1, "it was loaded");
      expect([watch.told, watch.loads]).toEqual([[], [new Set()]]);
      watch.cancel();
    });

    it("never leaves a live key out of a load while keys are written all the time", async () => {
      const bucket = bus.bucket(name("desired"));
      const prefix = fresh();
      const keys = Array.from({ length: 100 }, (_, n) => `${prefix}.k${n}`);
      const revisions = new Map<string, number>();
      for (const key of keys) revisions.set(key, await bucket.put(key, "0", 0));
      const writing = { on: true };
      const writer = (async () => {
        for (let n = 0; writing.on; n += 1) {
          const key = keys[n % keys.length] ?? "";
          revisions.set(key, await bucket.put(key, String(n), revisions.get(key) ?? 0));
        }
      })();
      try {
        for (let round = 0; round < 10; round += 1) {
          const watch = watcher(other, name("desired"), `${prefix}.*`);
          await until(() => watch.loads.length === 1, "it was loaded");
          expect(watch.loads[0]?.size).toBe(keys.length);
          watch.cancel();
        }
      } finally {
        writing.on = false;
        await writer;
      }
    });

    it("republishes the endpoints bucket to core subscribers", async () => {
      const heard: BusMessage[] = [];
      const key = `${fresh()}.web.head`;
      other.subscribe(names.endpointsAll, (message) => heard.push(message));
      await other.flush(waitMs);
      const revision = await bus.bucket(name("endpoints")).put(key, '{"n":1}', 0);
      await until(() => heard.length === 1, "it was heard");
      expect(heard[0]?.subject).toBe(`${names.root}.endpoints.${key}`);
      expect(heard[0]?.json()).toEqual({ n: 1 });
      expect(heard[0]?.header("Nats-Sequence")).toBe(String(revision));
    });

    it("says with each republished value where it came from, where it is, and where its key was before", async () => {
      const heard: BusMessage[] = [];
      const bucket = bus.bucket(name("endpoints"));
      const key = `${fresh()}.web.head`;
      const cancel = other.subscribe(`${names.root}.endpoints.${key}`, (message) => heard.push(message));
      await other.flush(waitMs);
      const first = await bucket.put(key, '{"n":1}', 0);
      const second = await bucket.put(key, '{"n":2}', first);
      const marker = await bucket.remove(key, second);
      await until(() => heard.length === 3, "all were heard");
      const told = heard.map((message) => [
        ...["Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Last-Sequence", "KV-Operation"].map((header) =>
          message.header(header),
        ),
        message.json(),
        message.reply,
      ]);
      const [stream, subject] = [`KV_${name("endpoints")}`, `$KV.${name("endpoints")}.${key}`];
      expect(told).toEqual([
        [stream, subject, String(first), "0", undefined, { n: 1 }, undefined],
        [stream, subject, String(second), String(first), undefined, { n: 2 }, undefined],
        [stream, subject, String(marker), String(second), "DEL", undefined, undefined],
      ]);
      cancel();
    });

    it("tells a key that was purged by hand as deleted", async () => {
      const bucket = bus.bucket(name("desired"));
      const key = `${fresh()}.a`;
      const first = await bucket.put(key, "1", 0);
      const second = await bucket.put(key, "2", first);
      const watch = watcher(other, name("desired"), key);
      await until(() => watch.loads.length === 1, "it was loaded");
      const headers = { "KV-Operation": "PURGE", "Nats-Rollup": "sub" };
      bus.publish(`$KV.${name("desired")}.${key}`, undefined, { headers });
      await until(() => watch.told.length === 2, "it was told");
      expect(watch.told[1]).toEqual({ key, value: null, revision: second + 1 });
      expect(await bucket.get(key)).toEqual({ key, value: null, revision: second + 1 });
      expect(await bucket.put(key, "3", second + 1)).toBe(second + 2);
      watch.cancel();
    });

    it("has no room for another key once it is full, but for a marker, for what is not larger, and after that again", async () => {
      const bucket = bus.bucket(name("pods"));
      const prefix = fresh();
      const value = "x".repeat(1000);
      const revisions = await Promise.all([1, 2, 3].map((n) => bucket.put(`${prefix}.k${n}`, value, 0)));
      const stream = `KV_${name("pods")}`;
      const info = await bus.request(`$JS.API.STREAM.INFO.${stream}`, undefined, { timeoutMs: waitMs });
      const { config, state } = info.json() as { config: { max_bytes: number }; state: { bytes: number } };
      const setRoom = (most: number): Promise<unknown> =>
        bus.request(`$JS.API.STREAM.UPDATE.${stream}`, { ...config, max_bytes: most }, { timeoutMs: waitMs });
      await setRoom(state.bytes + 100);
      expect(await codeOf(bucket.put(`${prefix}.k4`, value, 0))).toBe("JETSTREAM_ERROR");
      expect(await codeOf(bucket.put(`${prefix}.k4`, value, 7))).toBe("KV_CONFLICT");
      expect(await codeOf(bucket.put(`${prefix}.k1`, value.repeat(3), revisions[0] ?? 0))).toBe("JETSTREAM_ERROR");
      expect(await codeOf(bucket.put(`${prefix}.k1`, value, revisions[0] ?? 0))).toBe("none");
      expect(await codeOf(bucket.remove(`${prefix}.k2`, revisions[1] ?? 0))).toBe("none");
      expect(await codeOf(bucket.put(`${prefix}.k4`, value.slice(0, 700), 0))).toBe("none");
      await setRoom(config.max_bytes);
    });

    it("tells a watcher that the bucket is gone, and all of it once it is there again", async () => {
      const bucket = bus.bucket(name("workloads"));
      const before = fresh();
      await bucket.put(`${before}.a`, "1", 0);
      const missing: number[] = [];
      const loads: ReadonlySet<string>[] = [];
      const told: unknown[] = [];
      const cancel = other.bucket(name("workloads")).watch(">", {
        onEntry: (entry) => told.push(entry),
        onLoaded: (keys) => loads.push(keys),
        onMissing: () => missing.push(loads.length),
      });
      await until(() => loads.length === 1, "it was loaded");
      await bus.request(`$JS.API.STREAM.DELETE.KV_${name("workloads")}`, undefined, { timeoutMs: waitMs });
      await until(() => missing.length > 0, "it was told");
      expect(await codeOf(bucket.put(`${before}.a`, "1", 0))).toBe("JETSTREAM_ERROR");
      expect(await codeOf(bucket.get(`${before}.a`))).toBe("JETSTREAM_ERROR");
      await ensureBucket(bus, opened().world.cluster, "workloads");
      const key = `${fresh()}.b`;
      expect(await bucket.put(key, "2", 0)).toBe(1);
      await until(() => loads.length >= 2 && (loads.at(-1)?.has(key) ?? false), "it was told again");
      expect(loads.at(-1)).toEqual(new Set([key]));
      expect(told.at(-1)).toEqual({ key, value: "2", revision: 1 });
      cancel();
    });

    it("removes what somebody published under what is no key, and its markers, but for a wildcard, and nothing else", async () => {
      const bucket = bus.bucket(name("endpoints"));
      const key = `${fresh()}.kept.head`;
      const kept = await bucket.put(key, "1", 0);
      const [odd, wild] = [
        ["a:b", `${key}:c`],
        ["*", ">"],
      ];
      const publish = async (headers: Record<string, string>): Promise<void> => {
        const options = { timeoutMs: waitMs, headers };
        for (const one of [...odd, ...wild]) await bus.request(`$KV.${name("endpoints")}.${one}`, "x", options);
      };
      const found = async (): Promise<string[]> => {
        const keys = [...(await bucket.load()).keys()];
        return keys.filter((one) => odd.includes(one) || wild.includes(one)).toSorted();
      };
      await publish({});
      const entries = await bucket.load();
      const remove = (one: string) => codeOf(bucket.remove(one, entries.get(one)?.revision ?? 0));
      for (const one of odd) expect([await remove(one), await remove(one)]).toEqual(["none", "none"]);
      for (const one of wild) expect(await remove(one)).toBe("INVALID_ARGUMENT");
      expect(await found()).toEqual(wild);
      await publish({ "KV-Operation": "DEL" });
      expect(await bucket.purgeMarkers(0)).toBeGreaterThanOrEqual(odd.length);
      expect(await found()).toEqual(wild);
      expect((await bucket.get(key))?.revision).toBe(kept);
      await bus.request(`$JS.API.STREAM.PURGE.KV_${name("endpoints")}`, undefined, { timeoutMs: waitMs });
    });

    it("removes deletion markers old enough, and nothing else", async () => {
      const bucket = bus.bucket(name("endpoints"));
      const [goneKey, keptKey] = [`${fresh()}.gone.head`, `${fresh()}.kept.head`];
      const gone = await bucket.put(goneKey, "1", 0);
      await bucket.remove(goneKey, gone);
      const kept = await bucket.put(keptKey, "1", 0);
      const markers = [...(await bucket.load()).values()].filter(({ value }) => value === null);
      expect(await bucket.purgeMarkers(3_600_000)).toBe(0);
      expect(await bucket.get(goneKey)).not.toBeNull();
      expect(await bucket.purgeMarkers(0)).toBe(markers.length);
      expect(await bucket.get(goneKey)).toBeNull();
      expect((await bucket.get(keptKey))?.revision).toBe(kept);
    });
  });
}
