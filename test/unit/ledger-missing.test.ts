// What a ledger makes of a log in which records are missing between others.
import { beforeEach, describe, expect, it } from "vitest";
import { Ledger } from "../../services/controller/ledger.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";
import { ScriptedLog } from "../support/scripted-log.ts";

const encoder = new TextEncoder();
let cluster: TestCluster;

const foldedWithout = async (...missing: number[]): Promise<string[]> => {
  const ledger = new Ledger(() => {});
  const log = new ScriptedLog();
  for (const { event } of cluster.log) log.records.push(encoder.encode(JSON.stringify(event)));
  for (const sequence of missing) log.missing.add(sequence);
  await ledger.catchUp(log);
  return [...ledger.state.workloads.keys()];
};

beforeEach(() => {
  cluster = new TestCluster({ n1: {} });
  cluster.apply(workloadManifest("one"));
});

describe("an event that is missing is noticed", () => {
  it.each([
    ["in the middle of a term", () => cluster.apply(workloadManifest("lost"))],
    ["when it was the election of the term that goes on", () => cluster.elect("c2")],
    ["when it was the event that began a restored log", () => cluster.restore("log2")],
  ])("%s", async (_, write) => {
    const first = cluster.state.sequence + 1;
    write();
    cluster.apply(workloadManifest("two"));
    await expect(foldedWithout(first)).rejects.toMatchObject({
      code: "LOG_INCOMPLETE",
      message: expect.stringContaining(`record ${first} is missing`),
    });
  });

  it("also where the next leader was elected behind it", async () => {
    const first = cluster.state.sequence + 1;
    cluster.apply(workloadManifest("lost"));
    cluster.elect("c2");
    cluster.apply(workloadManifest("two"));
    const rest = cluster.log.flatMap(({ sequence }) =>
      sequence >= first && sequence < cluster.state.epoch ? [sequence] : [],
    );
    await expect(foldedWithout(...rest)).rejects.toMatchObject({ code: "LOG_INCOMPLETE" });
  });
});

it("a stray that is missing is none, though another is a copy of an event", async () => {
  const copy = cluster.log.at(-2)?.event;
  cluster.record({ stray: true });
  const stray = cluster.state.sequence;
  cluster.record(copy);
  cluster.apply(workloadManifest("two"));
  expect(await foldedWithout(stray)).toEqual(["default/one", "default/two"]);
});
