// Which snapshots are found where writers came to nothing after them and left gaps in the numbers.
import { expect, it } from "vitest";
import type { Bus, LogRecord } from "../../services/bus/port.ts";
import type { SnapshotManifest } from "../../schemas/generated/types.ts";
import { storedSnapshots } from "../../services/controller/snapshot/store.ts";
import { codeOf } from "../support/bus-world.ts";
import { workPorts } from "../support/snapshots.ts";

/** What is found in a stream of one good snapshot with so many records gone after it. */
async function found(gone: number): Promise<unknown[]> {
  const ports = workPorts({ log: () => store } as unknown as Bus, "test");
  const manifest: SnapshotManifest = {
    format: 1,
    logId: "l",
    clusterUid: "u",
    epoch: 1,
    sequence: 9,
    accepted: 9,
    lastEventId: "e",
    bytes: 1,
    first: 1,
    chunks: [{ bytes: 1, sha256: "0".repeat(64) }],
    version: "0",
    time: 0,
  };
  const data = new TextEncoder().encode(JSON.stringify(manifest));
  const subject = `swain.test.snapshot.s1.manifest`;
  const record: LogRecord = { sequence: 2, subject, data, time: 0 };
  const store = {
    tail: () => Promise.resolve({ first: 1, last: 2 + gone }),
    get: (sequence: number) => Promise.resolve(sequence === 2 ? record : null),
  };
  const snapshots: unknown[] = [];
  for await (const { id } of storedSnapshots(ports)) snapshots.push(id);
  return snapshots;
}

it("finds one behind thousands of records that are gone", async () => {
  expect(await found(20_000)).toEqual(["s1"]);
});

it("says that it does not know where too many are gone", async () => {
  expect(await codeOf(found(100_001))).toBe("JETSTREAM_ERROR");
});
