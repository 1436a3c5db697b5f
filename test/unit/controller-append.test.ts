// The rules by which an append of unknown outcome is settled, against a log that fails as told.
import { beforeEach, describe, expect, it } from "vitest";
import type { EventItem } from "../../schemas/generated/types.ts";
import { momentOf } from "../../services/controller/append.ts";
import type { Appender, Draft } from "../../services/controller/append.ts";
import { stand } from "../../services/controller/election.ts";
import type { Ledger } from "../../services/controller/ledger.ts";
import type { Context } from "../../services/controller/ports.ts";
import { encodeEvent } from "../../services/controller/record.ts";
import { sleep } from "../../services/kernel/clock.ts";
import { bytes } from "../support/bus-world.ts";
import { candidate, rival } from "../support/candidate.ts";
import type { Candidate } from "../support/candidate.ts";
import type { Fault, ScriptedLog } from "../support/scripted-log.ts";

let parts: Candidate;
let log: ScriptedLog;
let context: Context;
let ledger: Ledger;

beforeEach(() => {
  parts = candidate();
  ({ log, context, ledger } = parts);
});

async function elected(): Promise<Appender> {
  const election = await stand(context, ledger, () => false);
  if (election.kind !== "won") throw new Error(`the election ended with ${election.kind}`);
  log.sent.length = 0;
  return election.appender;
}

function draft(): Draft {
  const { logId, epoch, lastEventId: prev } = ledger.state;
  const items: EventItem[] = [
    {
      kind: "service",
      verb: "applied",
      namespace: "default",
      name: "web",
      labels: {},
      spec: { selector: { workload: "web" }, ports: [{ port: 80, targetPort: 80 }] },
    },
  ];
  return {
    subject: "s",
    event: { schema: 1, logId, epoch, id: context.ids.next(), prev, time: 1, cause: "api", items },
  };
}

const unanswered: Fault = (at, data, expected) => {
  at.store(data, expected);
  return "TIMEOUT";
};
const lost: Fault = () => "TIMEOUT";

/** The servers lose what came after the election, and another leader writes as many records as were lost. */
function regrow(at: ScriptedLog, election: string): void {
  const count = at.records.length;
  at.records.length = 1;
  at.records.push(encodeEvent({ ...rival(parts), prev: election, epoch: 2 }));
  while (at.records.length < count) at.records.push(bytes({ its: at.records.length }));
}

/** They do so before an append comes, and take it. */
const regrown =
  (election: string): Fault =>
  (at, data, expected) => {
    regrow(at, election);
    return at.store(data, expected);
  };

async function expectUnsettled(appender: Awaited<ReturnType<typeof elected>>, ...faults: Fault[]): Promise<void> {
  log.faults = faults;
  const one = draft();
  expect(await appender.append(() => one)).toEqual({ kind: "unsettled" });
}

describe("an append", () => {
  it("is committed when its answer was lost but its bytes are at the next sequence", async () => {
    const appender = await elected();
    log.faults = [unanswered];
    const one = draft();
    expect(await appender.append(() => one)).toMatchObject({ kind: "committed", sequence: 2 });
    expect(log.sent).toHaveLength(1);
    expect(ledger.state.services.size).toBe(1);
  });

  it("is sent again with the same bytes when nothing is at the next sequence", async () => {
    const appender = await elected();
    log.faults = [lost, lost];
    const one = draft();
    expect(await appender.append(() => one)).toMatchObject({ kind: "committed", sequence: 2 });
    expect(log.sent.map(({ expected }) => expected)).toEqual([1, 1, 1]);
    expect(new Set(log.sent.map(({ data }) => String(data))).size).toBe(1);
  });

  it("goes behind foreign records with the same bytes", async () => {
    const appender = await elected();
    log.records.push(bytes({ stray: 1 }), bytes("stray 2"));
    const one = draft();
    expect(await appender.append(() => one)).toMatchObject({ kind: "committed", sequence: 4 });
    expect(context.counters.foreign).toBe(2);
    expect(new Set(log.sent.map(({ data }) => String(data))).size).toBe(1);
    expect(ledger.state.sequence).toBe(4);
  });

  it("loses to a leader elected meanwhile, also behind a foreign record", async () => {
    const appender = await elected();
    log.records.push(bytes({ stray: 1 }));
    log.records.push(encodeEvent(rival(parts)));
    const one = draft();
    expect(await appender.append(() => one)).toEqual({ kind: "deposed" });
    expect(ledger.state.leader).toBe("c2");
    expect(ledger.state.services.size).toBe(0);
  });

  it("is unsettled, and not folded, when its outcome cannot be learnt in time", async () => {
    const appender = await elected();
    log.faults = [unanswered];
    log.getFaults = Array.from({ length: 100 }, () => "TIMEOUT" as const);
    const one = draft();
    expect(await appender.append(() => one)).toEqual({ kind: "unsettled" });
    expect(ledger.state.services.size).toBe(0);
  });

  it("is not taken for committed when the log lost its end and grew again before the next try", async () => {
    const appender = await elected();
    const election = ledger.state.lastEventId;
    await appender.append(() => draft());
    log.faults = [
      (at) => {
        regrow(at, election);
        return "TIMEOUT";
      },
    ];
    const { accepted } = ledger.state;
    const one = draft();
    expect(await appender.append(() => one)).toEqual({ kind: "unsettled" });
    expect(ledger.state.accepted).toBe(accepted);
    expect(log.records).toHaveLength(2);
  });

  it("is not sent again behind what the next leader wrote since the log lost its end", async () => {
    const appender = await elected();
    const election = ledger.state.lastEventId;
    await appender.append(() => draft());
    log.faults = [
      (at) => {
        regrow(at, election);
        at.records.push(bytes({ its: at.records.length }));
        return "TIMEOUT";
      },
    ];
    const one = draft();
    expect(await appender.append(() => one)).toEqual({ kind: "unsettled" });
    expect(log.records).toHaveLength(3);
  });

  it("nor taken for committed when it did so while the connection was lost, and took it at once", async () => {
    const appender = await elected();
    const election = ledger.state.lastEventId;
    await appender.append(() => draft());
    await expectUnsettled(appender, (at, data, expected) => {
      parts.bus.breaks += 1;
      return regrown(election)(at, data, expected);
    });
  });

  it.each(["the last append", "a look at its end"])(
    "nor when it did so since %s, in a moment without a connection",
    async (seen) => {
      const appender = await elected();
      const election = ledger.state.lastEventId;
      await appender.append(() => draft());
      if (seen === "a look at its end") appender.caughtUp(2, momentOf(context));
      parts.bus.breaks += 1;
      await expectUnsettled(appender, regrown(election));
    },
  );

  it("nor on a later try, where the connection is to a server that lost nothing", async () => {
    const appender = await elected();
    const election = ledger.state.lastEventId;
    await appender.append(() => draft());
    await expectUnsettled(appender, lost, regrown(election));
  });

  it("nor after a pause, in which the log may have lost its end with two of its servers", async () => {
    const appender = await elected();
    const election = ledger.state.lastEventId;
    await appender.append(() => draft());
    await sleep(context.clock, 2000);
    await expectUnsettled(appender, regrown(election));
  });

  it("nor after the machine slept, while its monotonic clock stood still", async () => {
    const appender = await elected();
    const election = ledger.state.lastEventId;
    await appender.append(() => draft());
    const awake = context.clock;
    Object.assign(context, { clock: { ...awake, wall: () => awake.wall() + 3_600_000 } });
    await expectUnsettled(appender, regrown(election));
  });

  it("nor when the log was seen to hold the last event a while before its end was told", async () => {
    const appender = await elected();
    const election = ledger.state.lastEventId;
    await appender.append(() => draft());
    await sleep(context.clock, 2000);
    const since = momentOf(context);
    await sleep(context.clock, 2000);
    appender.caughtUp(await ledger.catchUp(log), since);
    await expectUnsettled(appender, regrown(election));
  });

  it("nor when strays at its end were all that the log lost", async () => {
    const appender = await elected();
    log.records.push(bytes({ stray: 1 }), bytes({ stray: 2 }));
    ledger.fold(2, bytes({ stray: 1 }));
    ledger.fold(3, bytes({ stray: 2 }));
    appender.caughtUp(3, momentOf(context));
    log.faults = [
      (at, data, expected) => {
        at.records.length = 2;
        at.records.push(encodeEvent(rival(parts)));
        at.store(data, expected);
        return "TIMEOUT";
      },
    ];
    const one = draft();
    expect(await appender.append(() => one)).toEqual({ kind: "unsettled" });
    await expect(ledger.catchUp(log)).rejects.toMatchObject({ code: "LOG_UNKNOWN" });
  });

  it("nor when the log lost a record that was missing in it for this controller, and got another", async () => {
    const appender = await elected();
    log.records.push(bytes({ stray: 1 }));
    log.missing.add(2);
    appender.caughtUp(await ledger.catchUp(log), momentOf(context));
    expect(appender.tail).toBe(2);
    log.missing.clear();
    await expectUnsettled(appender, lost, regrown(ledger.state.lastEventId));
  });

  it("is committed over a new connection to a log that kept all", async () => {
    const appender = await elected();
    log.records.push(bytes({ stray: 1 }));
    ledger.fold(2, bytes({ stray: 1 }));
    appender.caughtUp(2, momentOf(context));
    log.faults = [
      (at, data, expected) => {
        parts.bus.breaks += 1;
        return at.store(data, expected);
      },
    ];
    log.getFaults = ["TIMEOUT", "JETSTREAM_ERROR"];
    const one = draft();
    expect(await appender.append(() => one)).toMatchObject({ kind: "committed", sequence: 3 });
    expect(log.sent).toHaveLength(1);
  });

  it("is refused by a full log only when no earlier try may still get in", async () => {
    const appender = await elected();
    const full: Fault = () => "LOG_FULL";
    log.faults = [full];
    const one = draft();
    expect(await appender.append(() => one)).toEqual({ kind: "full" });
    expect(log.sent).toHaveLength(1);
    log.faults = [lost, full, (at, data, expected) => at.store(data, expected)];
    const two = draft();
    expect(await appender.append(() => two)).toMatchObject({ kind: "committed" });
  });

  it("is refused at once when the server takes none of its size, unless an earlier try may still get in", async () => {
    const appender = await elected();
    const tooLarge: Fault = () => "PAYLOAD_TOO_LARGE";
    log.faults = [tooLarge];
    const one = draft();
    expect(await appender.append(() => one)).toEqual({ kind: "tooLarge" });
    expect(log.sent).toHaveLength(1);
    log.faults = [lost, tooLarge, (at, data, expected) => at.store(data, expected)];
    const two = draft();
    expect(await appender.append(() => two)).toMatchObject({ kind: "committed" });
  });
});
