import { beforeEach, describe, expect, it } from "vitest";
import { bounds } from "../../services/agent/bounds.ts";
import { newMeter } from "../../services/agent/figures.ts";
import { Journal } from "../../services/agent/journal.ts";
import { nothingHeld } from "../../services/agent/assignment.ts";
import { silent } from "../../services/kernel/log.ts";
import { ManualClock, MemoryDisk } from "../support/agent.ts";

const held = { ...nothingHeld, logId: "log", clusterUid: "uid", epoch: 4, generation: 7 };

describe("a journal whose disk is full", () => {
  let clock: ManualClock;
  let disk: MemoryDisk;
  let journal: Journal;

  beforeEach(() => {
    clock = new ManualClock();
    disk = new MemoryDisk();
    journal = new Journal(disk, "/data", clock, silent, newMeter());
    disk.fail = true;
  });

  it("says so once it lasts, tries again by itself, and then says nothing more", async () => {
    journal.saveSoon();
    await clock.advance(bounds.journalGatherMs);
    expect(journal.lastingTrouble()).toBeNull();
    await clock.advance(bounds.troubleMs);
    expect(journal.lastingTrouble()).toMatchObject({ code: "DISK_ERROR" });
    disk.fail = false;
    await clock.advance(bounds.journalRetryMs);
    expect(journal.lastingTrouble()).toBeNull();
    expect([...disk.files.keys()]).toEqual(["/data/pods.json"]);
  });

  it("goes on saying so while an assignment cannot be taken, though records can be written", async () => {
    await expect(journal.writeAssignment(held)).rejects.toMatchObject({ code: "DISK_ERROR" });
    disk.fail = false;
    await journal.saveRecords();
    await clock.advance(bounds.troubleMs);
    expect(journal.lastingTrouble()).toMatchObject({ code: "DISK_ERROR" });
    await journal.writeAssignment(held);
    expect(journal.lastingTrouble()).toBeNull();
  });

  it("does not try again after its end", async () => {
    await journal.close();
    disk.fail = false;
    await clock.advance(10 * bounds.journalRetryMs);
    expect(disk.files.size).toBe(0);
  });

  it("remembers which leader told the assignment, and none where an early version wrote it", async () => {
    disk.fail = false;
    await journal.writeAssignment(held);
    expect((await journal.read()).held).toMatchObject({ epoch: 4, generation: 7 });
    const { epoch: _, ...early } = JSON.parse(disk.files.get("/data/assignment.json") ?? "") as { epoch: number };
    disk.files.set("/data/assignment.json", JSON.stringify(early));
    expect((await journal.read()).held).toMatchObject({ epoch: 0, generation: 7 });
  });
});
