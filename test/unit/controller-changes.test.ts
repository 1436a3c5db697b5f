// A change that is asked for again, and one that changes nothing, against a log that answers as told.
import { describe, expect, it } from "vitest";
import { limits } from "../../services/bus/limits.ts";
import type { Bus, LogTail } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import type { Context } from "../../services/controller/ports.ts";
import { Changes } from "../../services/controller/term/changes.ts";
import type { ChangesEvents } from "../../services/controller/term/changes.ts";
import type { Writer } from "../../services/controller/term/writer.ts";
import { emptyState } from "../../services/core/fold/fold.ts";
import type { Code } from "../../services/kernel/errors.ts";
import { SwainError } from "../../services/kernel/errors.ts";

const quiet: ChangesEvents = { onArrival: () => {}, onSuspect: () => {}, leads: () => true, isAwake: () => true };

/** Asks again for a change that is in the log at 7, as its reader answers. */
async function again(get: () => Promise<unknown>, leads = true): Promise<unknown> {
  const bus = { log: () => ({ get }) } as unknown as Bus;
  const state = emptyState();
  state.operations.set("op", 7);
  const changes = new Changes({ bus, subjects: subjectsOf("test") } as unknown as Context, state, {
    ...quiet,
    leads: () => leads,
  });
  const answer = changes.submit("op", () => {
    throw new Error("it is admitted twice");
  });
  await Promise.all([changes.next({} as Writer), answer.catch(() => {})]).catch(() => {});
  return answer;
}

describe("a change that is in the log already", () => {
  const failing = (code: Code) => (): Promise<never> => Promise.reject(new SwainError(code, "as told"));

  it("is answered with its sequence", async () => {
    await expect(again(async () => null)).resolves.toMatchObject({ sequence: 7 });
  });

  it.each(["JETSTREAM_ERROR", "TIMEOUT"] as const)("is to be asked for once more after %s", async (code) => {
    await expect(again(failing(code))).rejects.toMatchObject({ code: "BUSY" });
  });

  it("is to be asked for once more where something speaks against leading by then: the record may be another's", async () => {
    await expect(again(async () => null, false)).rejects.toMatchObject({ code: "BUSY" });
  });

  it("ends with the bus", async () => {
    await expect(again(failing("BUS_CLOSED"))).rejects.toMatchObject({ code: "BUS_CLOSED" });
  });
});

describe("a change that changes nothing", () => {
  const end = 9;
  const whole: LogTail = { first: 1, last: end, replicas: 1, heardAgoMs: 0 };
  const replicated: LogTail = { ...whole, replicas: 3, heardAgoMs: 900 };
  const writer = {
    passed: (_: string, items: unknown) => items,
    write: async () => ({ kind: "nothing" }),
  } as unknown as Writer;

  /** A leader whose log tells these ends, one after the other. */
  function leading(tails: (() => Promise<LogTail>)[], events: Partial<ChangesEvents> = {}) {
    let looks = 0;
    const tail = (): Promise<LogTail> => (looks++, (tails.shift() ?? expect.fail("the log is looked at once more"))());
    const bus = { log: () => ({ tail }) } as unknown as Bus;
    const state = emptyState();
    state.sequence = end;
    const context = { bus, subjects: subjectsOf("test") } as unknown as Context;
    const changes = new Changes(context, state, { ...quiet, ...events });
    const ask = async (): Promise<{ answer: Promise<unknown> }> => {
      const answer = changes.submit(undefined, () => ({ items: [], results: [] }));
      answer.catch(() => {});
      await changes.next(writer);
      return { answer };
    };
    return { changes, looks: () => looks, ask };
  }
  const told = (tail: LogTail) => () => Promise.resolve(tail);

  it("is answered once the log was seen to end where this leader wrote last, all that wait by one look", async () => {
    const { changes, looks, ask } = leading([told(whole)]);
    const answers = [await ask(), await ask(), await ask()];
    await changes.settle(end);
    for (const { answer } of answers) await expect(answer).resolves.toMatchObject({ sequence: end });
    expect(looks()).toBe(1);
    await changes.settle(end);
    expect(looks()).toBe(1);
  });

  it.each([
    ["goes on", end + 1],
    ["lost its end", end - 1],
  ])("waits where the log %s, until that was read", async (_, last) => {
    let suspected = 0;
    const { changes, ask } = leading([told({ ...whole, last }), told({ ...whole, last })], {
      onSuspect: () => void suspected++,
    });
    const { answer } = await ask();
    await changes.settle(end);
    expect([suspected, changes.length]).toEqual([1, 1]);
    await changes.next(writer);
    await changes.settle(last);
    await expect(answer).resolves.toMatchObject({ sequence: end });
  });

  it("waits where something speaks against leading by then, though the log is as long as before", async () => {
    let leads = false;
    const { changes, ask } = leading([told(whole), told(whole)], { leads: () => leads });
    const { answer } = await ask();
    await changes.settle(end);
    expect(changes.length).toBe(1);
    leads = true;
    await changes.next(writer);
    await changes.settle(end);
    await expect(answer).resolves.toMatchObject({ sequence: end });
  });

  it("is told that somebody else leads when that is what was read", async () => {
    const { changes, ask } = leading([told({ ...whole, last: end + 1 })]);
    const { answer } = await ask();
    await changes.settle(end);
    changes.end();
    await expect(answer).rejects.toMatchObject({ code: "NO_LEADER" });
  });

  it("is told so, too, when the term ends before it was looked at", async () => {
    const { changes, ask } = leading([]);
    const { answer } = await ask();
    changes.end();
    await expect(answer).rejects.toMatchObject({ code: "NO_LEADER" });
  });

  it.each<[string, () => Promise<LogTail>, boolean]>([
    ["the log does not answer", () => Promise.reject(new SwainError("TIMEOUT", "as told")), true],
    ["its server has not heard the others", told({ ...replicated, heardAgoMs: limits.logUnheardMs + 1 }), true],
    ["the machine slept, and maybe its server", told(replicated), false],
  ])("is not answered where %s", async (_, tail, isAwake) => {
    const { changes, ask } = leading([tail], { isAwake: () => isAwake });
    const { answer } = await ask();
    await changes.settle(end);
    await expect(answer).rejects.toMatchObject({ code: "BUSY" });
  });

  it("is answered by the leader of a log of several servers that hear each other", async () => {
    const { changes, ask } = leading([told(replicated)]);
    const { answer } = await ask();
    await changes.settle(end);
    await expect(answer).resolves.toMatchObject({ sequence: end });
  });

  it("ends with the bus", async () => {
    const closed = new SwainError("BUS_CLOSED", "as told");
    const { changes, ask } = leading([() => Promise.reject(closed)]);
    const { answer } = await ask();
    await expect(changes.settle(end)).rejects.toBe(closed);
    await expect(answer).rejects.toMatchObject({ code: "NO_LEADER" });
  });
});

describe("a change whose leader ends while it is appended", () => {
  it.each([
    ["is known not to be in the log where another leads", "deposed", "NO_LEADER"],
    ["may be in the log else", "refold", "TIMEOUT"],
  ] as const)("%s", async (_, end, code) => {
    const changes = new Changes({} as unknown as Context, emptyState(), quiet);
    const writer = { passed: () => [], write: async () => ({ kind: "ended", end }) } as unknown as Writer;
    const answer = changes.submit(undefined, () => ({ items: [], results: [] }));
    answer.catch(() => {});
    expect(await changes.next(writer)).toBe(end);
    await expect(answer).rejects.toMatchObject({ code });
  });
});
