import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { BackendAddress } from "../../services/proxy/backends.ts";
import { Rotation } from "../../services/proxy/rotation.ts";
import type { Backend } from "../../services/proxy/backend.ts";

const addressOf = (n: number): BackendAddress => ({ pod: `default/web-${n}`, host: "127.0.0.1", port: 1000 + n });
const sets = fc.uniqueArray(fc.integer({ min: 0, max: 11 }), { maxLength: 12 });
const start = fc.double({ min: 0, max: 0.999, noNaN: true });

function rotationOf(ids: readonly number[], first = 0): Rotation {
  const rotation = new Rotation(first);
  rotation.update(ids.map(addressOf));
  return rotation;
}

/** The backend picked; these services have no limits, so that nothing is full. */
function pick(rotation: Rotation, now: number, tried?: ReadonlySet<Backend>): Backend | undefined {
  const picked = rotation.pick(now, tried);
  if (picked === "full") throw new Error("full");
  return picked;
}

function spread(counts: Iterable<number>): number {
  const all = [...counts];
  return Math.max(...all) - Math.min(...all);
}

describe("round-robin", () => {
  it("gives every endpoint the same number of connections, plus or minus one, over any run of picks", () => {
    fc.assert(
      fc.property(sets, start, fc.nat(200), fc.nat(50), (ids, first, picks, before) => {
        fc.pre(ids.length > 0);
        const rotation = rotationOf(ids, first);
        for (let n = 0; n < before; n += 1) pick(rotation, 0);
        const counts = new Map(ids.map((id) => [`default/web-${id}`, 0]));
        for (let n = 0; n < picks; n += 1) {
          const { pod } = pick(rotation, 0)!;
          counts.set(pod, counts.get(pod)! + 1);
        }
        expect(spread(counts.values())).toBeLessThanOrEqual(1);
      }),
    );
  });

  it("is as fair over the endpoints that answer while others are set aside", () => {
    fc.assert(
      fc.property(sets, fc.nat(11), fc.nat(200), (ids, bad, picks) => {
        fc.pre(ids.length > 1);
        const rotation = rotationOf(ids);
        const failing = new Set(ids.slice(0, 1 + (bad % (ids.length - 1))).map((id) => `default/web-${id}`));
        for (let n = 0; n < ids.length; n += 1) {
          const backend = pick(rotation, 0)!;
          if (failing.has(backend.pod)) rotation.failed(backend, 0);
        }
        const counts = new Map<string, number>(
          ids
            .map((id) => `default/web-${id}`)
            .filter((pod) => !failing.has(pod))
            .map((pod) => [pod, 0]),
        );
        for (let n = 0; n < picks; n += 1) {
          const { pod } = pick(rotation, 1)!;
          expect(failing.has(pod)).toBe(false);
          counts.set(pod, counts.get(pod)! + 1);
        }
        expect(spread(counts.values())).toBeLessThanOrEqual(1);
      }),
    );
  });

  it("never picks an endpoint that was removed, and always picks one while there is any", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(sets, fc.nat(5), fc.boolean())), start, (steps, first) => {
        const rotation = new Rotation(first);
        const known = new Set<Backend>();
        for (const [ids, picks, fails] of steps) {
          const gone = rotation.update(ids.map(addressOf));
          for (const backend of gone) expect(backend.current).toBe(false);
          const pods = new Set(ids.map((id) => `default/web-${id}`));
          for (const id of ids) expect(rotation.hasPod(`default/web-${id}`)).toBe(true);
          for (let n = 0; n < picks; n += 1) {
            const backend = pick(rotation, 0);
            if (ids.length === 0) expect(backend).toBeUndefined();
            else {
              expect(pods.has(backend!.pod)).toBe(true);
              expect(backend!.current).toBe(true);
              known.add(backend!);
              if (fails) rotation.failed(backend!, 0);
            }
          }
          for (const backend of known) expect(backend.current).toBe(pods.has(backend.pod) && !gone.includes(backend));
          for (const backend of gone) known.delete(backend);
        }
      }),
    );
  });

  it("keeps everybody's turn through a change, and serves each endpoint once before one twice", () => {
    fc.assert(
      fc.property(sets, sets, start, fc.nat(30), (before, after, first, picks) => {
        const rotation = rotationOf(before, first);
        const twin = rotationOf(before, first);
        for (let n = 0; n < picks; n += 1) {
          pick(rotation, 0);
          pick(twin, 0);
        }
        // The turns as they would have been without the change.
        const unchanged = before.map(() => pick(twin, 0)!.pod);
        rotation.update(after.map(addressOf));
        const turns = after.map(() => pick(rotation, 0)!.pod);
        expect(new Set(turns).size).toBe(after.length);
        const stayed = new Set(unchanged.filter((pod) => turns.includes(pod)));
        expect(turns.filter((pod) => stayed.has(pod))).toEqual([...stayed]);
      }),
    );
  });

  it("tries every endpoint once before it gives up on a connection", () => {
    fc.assert(
      fc.property(sets, start, (ids, first) => {
        const rotation = rotationOf(ids, first);
        const tried = new Set<Backend>();
        for (let backend = pick(rotation, 0, tried); backend !== undefined; backend = pick(rotation, 0, tried)) {
          expect(tried.has(backend)).toBe(false);
          tried.add(backend);
          rotation.failed(backend, 0);
        }
        expect(tried.size).toBe(ids.length);
      }),
    );
  });

  it("starts at different endpoints in different proxies", () => {
    const firsts = [0, 0.3, 0.6, 0.9].map((first) => pick(rotationOf([1, 2, 3, 4], first), 0)?.pod);
    expect(new Set(firsts).size).toBe(4);
  });
});

describe("an endpoint that does not answer", () => {
  it("is left out for a moment, then tried by one connection, and left out longer when it fails again", () => {
    const rotation = rotationOf([1, 2]);
    const bad = pick(rotation, 0)!;
    rotation.failed(bad, 0);
    const picked = (now: number): boolean[] => [pick(rotation, now), pick(rotation, now)].map((one) => one === bad);
    expect(picked(499)).toEqual([false, false]);
    expect(picked(500)).toContain(true);
    expect(picked(501)).toEqual([false, false]);
    rotation.failed(bad, 500);
    expect(picked(1400)).toEqual([false, false]);
    expect(picked(1500)).toContain(true);
    rotation.succeeded(bad);
    expect(picked(1501)).toContain(true);
    expect(picked(1501)).toContain(true);
  });

  it("is used all the same when nothing else is left", () => {
    const rotation = rotationOf([1]);
    const only = pick(rotation, 0)!;
    rotation.failed(only, 0);
    expect(pick(rotation, 1)).toBe(only);
  });
});
