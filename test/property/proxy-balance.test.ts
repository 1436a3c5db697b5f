import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Backend } from "../../services/proxy/backend.ts";
import type { BackendAddress } from "../../services/proxy/backends.ts";
import { bySource } from "../../services/proxy/balance.ts";
import { afterFailure, afterSuccess, cleanPast } from "../../services/proxy/ejection.ts";
import { afterCheck, unchecked } from "../../services/proxy/health.ts";
import { Rotation } from "../../services/proxy/rotation.ts";
import { plainTraffic } from "../../services/proxy/traffic.ts";
import type { Traffic } from "../../services/proxy/traffic.ts";

const addressOf = (n: number): BackendAddress => ({ pod: `default/web-${n}`, host: "127.0.0.1", port: 1000 + n });
const ids = fc.uniqueArray(fc.integer({ min: 0, max: 11 }), { minLength: 1, maxLength: 12 });
const clients = fc.uniqueArray(fc.ipV4(), { minLength: 1, maxLength: 50 });

function rotationOf(ids: readonly number[], traffic: Partial<Traffic> = {}): Rotation {
  const rotation = new Rotation(0);
  rotation.traffic = { ...plainTraffic, ...traffic };
  rotation.update(ids.map(addressOf));
  return rotation;
}

describe("least connections", () => {
  it("never picks a backend with more open connections than another, and keeps them level", () => {
    fc.assert(
      fc.property(ids, fc.array(fc.option(fc.nat(11))), (ids, steps) => {
        const rotation = rotationOf(ids, { balance: "least-connections" });
        for (const close of steps) {
          const victim = close === null ? undefined : rotation.all[close % ids.length];
          if (victim !== undefined && victim.open > 0) victim.open -= 1;
          const picked = rotation.pick(0) as Backend;
          expect(picked.open).toBe(Math.min(...rotation.all.map(({ open }) => open)));
          picked.open += 1;
        }
      }),
    );
  });

  it("goes round where all have the same number", () => {
    fc.assert(
      fc.property(ids, (ids) => {
        const rotation = rotationOf(ids, { balance: "least-connections" });
        const picked = ids.map(() => (rotation.pick(0) as Backend).pod);
        expect(new Set(picked).size).toBe(ids.length);
      }),
    );
  });
});

describe("sticky by source", () => {
  const sticky = { balance: "source" } as const;

  it("gives an address the same backend every time, at every proxy, whatever the order of endpoints", () => {
    fc.assert(
      fc.property(ids, clients, fc.nat(20), (ids, clients, before) => {
        const one = rotationOf(ids, sticky);
        const other = rotationOf(ids.toReversed(), sticky);
        for (let n = 0; n < before; n += 1) other.pick(0, undefined, "192.0.2.200");
        for (const client of clients) {
          const { pod } = one.pick(0, undefined, client) as Backend;
          expect((one.pick(0, undefined, client) as Backend).pod).toBe(pod);
          expect((other.pick(0, undefined, client) as Backend).pod).toBe(pod);
        }
      }),
    );
  });

  it("moves only the clients of a backend that goes, and takes only its share for one that comes", () => {
    fc.assert(
      fc.property(ids, fc.integer({ min: 12, max: 20 }), clients, (ids, extra, clients) => {
        const rotation = rotationOf(ids, sticky);
        const before = clients.map((client) => (rotation.pick(0, undefined, client) as Backend).pod);
        rotation.update([...ids, extra].map(addressOf));
        const more = clients.map((client) => (rotation.pick(0, undefined, client) as Backend).pod);
        for (const [index, pod] of more.entries()) expect([before[index], `default/web-${extra}`]).toContain(pod);
        rotation.update(ids.map(addressOf));
        expect(clients.map((client) => (rotation.pick(0, undefined, client) as Backend).pod)).toEqual(before);
      }),
    );
  });

  it("goes to the next backend while its own fails its check or is full, and comes back", () => {
    fc.assert(
      fc.property(ids, fc.ipV4(), fc.boolean(), (ids, client, full) => {
        fc.pre(ids.length > 1);
        const rotation = rotationOf(ids, { ...sticky, maxPerBackend: 1 });
        const own = rotation.pick(0, undefined, client) as Backend;
        if (full) own.open = 1;
        else own.health = { state: "down", against: 0 };
        const next = rotation.pick(0, undefined, client) as Backend;
        expect(next).not.toBe(own);
        expect(rotation.pick(0, undefined, client)).toBe(next);
        own.open = 0;
        own.health = { state: "up", against: 0 };
        expect(rotation.pick(0, undefined, client)).toBe(own);
      }),
    );
  });

  it("spreads 10,000 addresses evenly: no backend of ten is more than a fifth off its share", () => {
    const backends = Array.from({ length: 10 }, (_, n) => new Backend(addressOf(n)));
    const counts = backends.map(() => 0);
    for (let n = 0; n < 10_000; n += 1) {
      const place = bySource(backends, `10.${n >> 12}.${(n >> 6) & 63}.${n & 63}`);
      counts[place] = (counts[place] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(200);
  });
});

describe("a limit per backend", () => {
  it("is never passed, and says full only when every backend that serves is", () => {
    const balance = fc.constantFrom<Traffic["balance"]>("round-robin", "least-connections", "source");
    fc.assert(
      fc.property(ids, balance, fc.integer({ min: 1, max: 3 }), clients, (ids, balance, maxPerBackend, clients) => {
        const rotation = rotationOf(ids, { balance, maxPerBackend });
        for (const client of clients) {
          const picked = rotation.pick(0, undefined, client);
          if (picked === "full") expect(rotation.all.every(({ open }) => open === maxPerBackend)).toBe(true);
          else (picked as Backend).open += 1;
        }
        for (const { open } of rotation.all) expect(open).toBeLessThanOrEqual(maxPerBackend);
        expect(rotation.all.reduce((sum, { open }) => sum + open, 0)).toBe(
          Math.min(clients.length, ids.length * maxPerBackend),
        );
      }),
    );
  });

  it("counts what a backend still has when it leaves the endpoints and comes back", () => {
    const limit = fc.integer({ min: 1, max: 3 });
    const step = fc.oneof(fc.uniqueArray(fc.nat(5), { maxLength: 6 }), fc.nat(40), fc.constant("connect" as const));
    fc.assert(
      fc.property(ids, limit, fc.array(step, { maxLength: 60 }), (ids, maxPerBackend, steps) => {
        const rotation = rotationOf(ids, { balance: "least-connections", maxPerBackend });
        const connections: Backend[] = [];
        const openAt = (pod: string): number => connections.filter((one) => one.pod === pod).length;
        for (const step of steps) {
          if (typeof step === "object") rotation.update(step.map(addressOf));
          else if (step === "connect") {
            const picked = rotation.pick(0);
            const least = Math.min(...rotation.all.map(({ pod }) => openAt(pod)));
            if (picked === undefined || picked === "full") {
              expect(least).toBe(picked === "full" ? maxPerBackend : Infinity);
              continue;
            }
            expect(openAt(picked.pod)).toBe(least);
            expect(least).toBeLessThan(maxPerBackend);
            picked.open += 1;
            connections.push(picked);
          } else {
            for (const closed of connections.splice(step % (connections.length + 1), 1)) closed.open -= 1;
          }
          for (const { pod, open } of rotation.all) expect(open).toBe(openAt(pod));
        }
      }),
    );
  });

  it("is no reason to use one that fails its check", () => {
    const rotation = rotationOf([1, 2], { maxPerBackend: 1 });
    const [one, two] = rotation.all as [Backend, Backend];
    one.health = { state: "down", against: 0 };
    two.open = 1;
    expect(rotation.pick(0)).toBe("full");
  });
});

describe("what serves", () => {
  const states = fc.constantFrom(undefined, "up" as const, "checking" as const, "down" as const);

  it("comes before what is not checked yet, that before what refused, and what fails its check is the last resort", () => {
    const facts = fc.array(fc.tuple(states, fc.boolean()), { minLength: 1, maxLength: 8 });
    const balances = fc.constantFrom<Traffic["balance"]>("round-robin", "least-connections", "source");
    fc.assert(
      fc.property(facts, balances, (facts, balance) => {
        const rotation = rotationOf([...facts.keys()], { balance });
        for (const [index, [state, aside]] of facts.entries()) {
          const backend = rotation.all[index] as Backend;
          backend.health = state === undefined ? undefined : { state, against: 0 };
          if (aside) backend.past = { ...cleanPast, failures: 1, asideUntil: 10 };
        }
        const best = Math.min(...rotation.all.map((backend) => backend.tier(0)));
        const tierOf = new Map(rotation.all.map((backend) => [backend, backend.tier(0)]));
        expect(tierOf.get(rotation.pick(0, undefined, "192.0.2.1") as Backend)).toBe(best);
      }),
    );
  });
});

describe("a backend that comes back with connections open", () => {
  it("is checked anew, and what its connects came to is remembered", () => {
    const rotation = rotationOf([1]);
    const [before] = rotation.all as [Backend];
    before.open = 1;
    before.health = { state: "down", against: 0 };
    before.checkFailure = "HTTP 500";
    rotation.failed(before, 0);
    rotation.update([]);
    rotation.update([addressOf(1)]);
    expect(rotation.all).toEqual([before]);
    expect(before).toMatchObject({
      current: true,
      open: 1,
      health: undefined,
      checkFailure: "",
      past: { failures: 1 },
    });
  });
});

describe("ejection", () => {
  const rules = { failures: 3, forMs: 1000 };

  it("comes with the third failure in a row, doubles, and stays under ten times the first", () => {
    let past = cleanPast;
    const lengths: number[] = [];
    let now = 0;
    for (let n = 0; n < 9; n += 1) {
      past = afterFailure(past, now, rules, false);
      lengths.push(past.asideUntil - now);
      now = past.asideUntil;
    }
    expect(lengths).toEqual([500, 1000, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
  });

  it("is remembered through a short recovery and forgotten after a long one", () => {
    const eject = (past: typeof cleanPast, at: number): typeof cleanPast =>
      [0, 1, 2].reduce((before) => afterFailure(before, at, rules, false), past);
    const first = eject(cleanPast, 0);
    const soon = eject(afterSuccess(first), first.ejectedUntil + 10_000);
    expect(soon.ejectedUntil - first.ejectedUntil - 10_000).toBe(2000);
    const late = eject(afterSuccess(first), first.ejectedUntil + 10_001);
    expect(late.ejectedUntil - first.ejectedUntil - 10_001).toBe(1000);
  });

  it("never leaves a service without a backend that may be chosen", () => {
    fc.assert(
      fc.property(ids, fc.array(fc.tuple(fc.nat(11), fc.nat(3000)), { maxLength: 80 }), (ids, failures) => {
        const rotation = rotationOf(ids, { ejection: rules });
        let now = 0;
        for (const [index, ms] of failures) {
          now += ms;
          rotation.failed(rotation.all[index % ids.length] as Backend, now);
          expect(rotation.all.some(({ past }) => past.ejectedUntil <= now)).toBe(true);
        }
      }),
    );
  });
});

describe("checks", () => {
  it("decide at once the first time, then turn a backend only after rise or fall results in a row", () => {
    const numbers = fc.integer({ min: 1, max: 5 });
    fc.assert(
      fc.property(numbers, numbers, fc.array(fc.boolean(), { minLength: 1, maxLength: 60 }), (rise, fall, results) => {
        let health = unchecked;
        let run = 0;
        let expected: string = results[0] === true ? "up" : "down";
        for (const [index, passed] of results.entries()) {
          health = afterCheck(health, passed, { rise, fall });
          if (index === 0) {
            expect(health.state).toBe(expected);
            continue;
          }
          run = passed === (expected === "up") ? 0 : run + 1;
          if (run >= (expected === "up" ? fall : rise)) {
            expected = passed ? "up" : "down";
            run = 0;
          }
          expect(health.state).toBe(expected);
        }
      }),
    );
  });
});
