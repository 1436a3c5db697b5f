// A change that is asked for again, against a log that answers as told.
import { describe, expect, it } from "vitest";
import type { Bus } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import type { Context } from "../../services/controller/ports.ts";
import { Changes } from "../../services/controller/term/changes.ts";
import type { Writer } from "../../services/controller/term/writer.ts";
import { emptyState } from "../../services/core/fold/fold.ts";
import type { Code } from "../../services/kernel/errors.ts";
import { SwainError } from "../../services/kernel/errors.ts";

/** Asks again for a change that is in the log at 7, as its reader answers. */
async function again(get: () => Promise<unknown>): Promise<unknown> {
  const bus = { log: () => ({ get }) } as unknown as Bus;
  const state = emptyState();
  state.operations.set("op", 7);
  const changes = new Changes({ bus, subjects: subjectsOf("test") } as unknown as Context, state, () => {});
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

  it("ends with the bus", async () => {
    await expect(again(failing("BUS_CLOSED"))).rejects.toMatchObject({ code: "BUS_CLOSED" });
  });
});
