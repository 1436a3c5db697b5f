// When standing for election is won, against a log that fails as told.
import { beforeEach, describe, expect, it } from "vitest";
import type { BucketEntry } from "../../services/bus/port.ts";
import { stand } from "../../services/controller/election.ts";
import { Ledger } from "../../services/controller/ledger.ts";
import type { Context } from "../../services/controller/ports.ts";
import { encodeEvent } from "../../services/controller/record.ts";
import { bytes } from "../support/bus-world.ts";
import { candidate, rival } from "../support/candidate.ts";
import type { Candidate, ScriptedBus } from "../support/candidate.ts";
import type { ScriptedLog } from "../support/scripted-log.ts";

let parts: Candidate;
let log: ScriptedLog;
let bus: ScriptedBus;
let context: Context;
let ledger: Ledger;

beforeEach(() => {
  parts = candidate();
  ({ log, bus, context, ledger } = parts);
});

async function elected(): Promise<void> {
  expect(await stand(context, ledger, () => false)).toMatchObject({ kind: "won" });
  log.sent.length = 0;
}

describe("an election", () => {
  it("is lost to whoever got the sequence first", async () => {
    await elected();
    const other = new Ledger(() => {});
    await other.catchUp(log);
    log.faults = [
      (at, data, expected) => {
        at.records.push(encodeEvent(rival(parts)));
        return at.store(data, expected);
      },
    ];
    expect(await stand({ ...context, id: "c3" }, other, () => false)).toEqual({ kind: "lost" });
    expect(other.state.leader).toBe("c2");
  });

  it("is held again with a new epoch when a foreign record took its place", async () => {
    log.faults = [
      (at, data, expected) => {
        at.records.push(bytes({ stray: true }));
        return at.store(data, expected);
      },
    ];
    const election = await stand(context, ledger, () => false);
    expect(election).toMatchObject({ kind: "won", sequence: 2 });
    expect(ledger.state.epoch).toBe(2);
  });

  it("is not held when a leader was heard while the log was read", async () => {
    expect(await stand(context, ledger, () => true)).toEqual({ kind: "lost" });
    expect(log.sent).toEqual([]);
  });

  const holding = (value: unknown) => async (): Promise<Map<string, BucketEntry>> =>
    new Map([["n1", { key: "n1", value: value === null ? null : JSON.stringify(value), revision: 3 }]]);

  it("begins no cluster where a value tells of a log that is gone", async () => {
    bus.load = holding({ logId: "gone", sequence: 7 });
    await expect(stand(context, ledger, () => false)).rejects.toMatchObject({ code: "LOG_INCOMPLETE" });
    expect(log.sent).toEqual([]);
  });

  it("begins one where somebody wrote a value of their own, or all values are deleted", async () => {
    bus.load = holding({ by: "hand" });
    expect(await stand(context, ledger, () => false)).toMatchObject({ kind: "won" });
    log.records.length = 0;
    bus.load = holding(null);
    expect(await stand(context, new Ledger(() => {}), () => false)).toMatchObject({ kind: "won" });
  });

  it("is lost where the value is of a log that another controller began meanwhile", async () => {
    const other = new Ledger(() => {});
    bus.load = async () => {
      bus.load = async () => new Map();
      expect(await stand({ ...context, id: "c2" }, other, () => false)).toMatchObject({ kind: "won" });
      return holding({ logId: other.state.logId, sequence: 1 })();
    };
    expect(await stand(context, ledger, () => false)).toEqual({ kind: "lost" });
    expect(ledger.state.leader).toBe("c2");
  });

  it("is not held where a restore has begun, and not won where one begins before its append is in", async () => {
    log.isMarked = true;
    await expect(stand(context, ledger, () => false)).rejects.toMatchObject({ code: "LOG_RESTORING" });
    expect(log.sent).toEqual([]);
    log.isMarked = false;
    log.faults = [
      (at, data, expected) => {
        at.isMarked = true;
        return at.store(data, expected);
      },
    ];
    await expect(stand(context, ledger, () => false)).rejects.toMatchObject({ code: "LOG_RESTORING" });
    expect(log.records).toHaveLength(1);
  });

  it("is won though looks at the log fail once it is in, for as long as nobody else stands", async () => {
    log.tailFaults = [null, "TIMEOUT", "JETSTREAM_ERROR", "TIMEOUT"];
    expect(await stand(context, ledger, () => false)).toMatchObject({ kind: "won", sequence: 1 });
    expect(context.clock.mono()).toBeLessThan(2500);
    log.tailFaults = [null, "TIMEOUT", "LOG_RESTORING"];
    await expect(stand(context, ledger, () => false)).rejects.toMatchObject({ code: "LOG_RESTORING" });
    log.tailFaults = [null, ...Array.from({ length: 20 }, () => "TIMEOUT" as const)];
    await expect(stand(context, ledger, () => false)).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  it("is lost where another controller, which heard nobody, is elected while a look at the log gets no answer", async () => {
    const follows = (): "TIMEOUT" => {
      log.records.push(encodeEvent(rival(parts)));
      return "TIMEOUT";
    };
    log.tailFaults = [null, follows];
    expect(await stand(context, ledger, () => false)).toEqual({ kind: "lost" });
    expect(ledger.state.leader).toBe("c2");
  });

  it.each(["TIMEOUT", null] as const)(
    "is not won where the log loses it, and gets another at its place, over a lost connection (%s)",
    async (answer) => {
      await elected();
      const loses = (): "TIMEOUT" | null => {
        bus.breaks += 1;
        log.records.splice(1, 1, encodeEvent({ ...rival(parts), prev: first, epoch: 2 }));
        return answer;
      };
      const first = ledger.state.lastEventId;
      log.tailFaults = [null, loses];
      await expect(stand(context, ledger, () => false)).rejects.toMatchObject({ code: "LOG_UNKNOWN" });
    },
  );

  it("is won only by a look over one connection", async () => {
    const looks: number[] = [];
    const look = (): null => {
      looks.push(bus.breaks);
      return null;
    };
    const get = log.get.bind(log);
    log.get = (sequence) => {
      if (looks.length === 2) bus.breaks += 1;
      return get(sequence);
    };
    log.tailFaults = [look, look, look];
    expect(await stand(context, ledger, () => false)).toMatchObject({ kind: "won" });
    expect(looks).toEqual([0, 0, 1]);
  });

  it("looks for nothing but a log where there is one", async () => {
    await elected();
    bus.load = () => expect.fail("a bucket is loaded");
    expect(await stand({ ...context, id: "c2" }, ledger, () => false)).toMatchObject({ kind: "won" });
  });

  it("refuses a log that is not the one followed so far", async () => {
    await elected();
    log.records.length = 0;
    await expect(stand(context, ledger, () => false)).rejects.toMatchObject({ code: "LOG_UNKNOWN" });
    log.records.push(bytes({ another: "log" }));
    await expect(stand(context, ledger, () => false)).rejects.toMatchObject({ code: "LOG_UNKNOWN" });
  });
});
