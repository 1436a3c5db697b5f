import { beforeEach, describe, expect, it } from "vitest";
import type { AssignedPod } from "../../schemas/generated/types.ts";
import { bounds } from "../../services/agent/bounds.ts";
import { newMeter } from "../../services/agent/figures.ts";
import { Journal } from "../../services/agent/journal.ts";
import { nothingHeld } from "../../services/agent/assignment.ts";
import { silent } from "../../services/kernel/log.ts";
import { TestLeader } from "../support/agent-leader.ts";
import { ManualClock, MemoryDisk, podNamed } from "../support/agent.ts";
import { SimAgent } from "../support/sim-agent.ts";
import { SimWorld } from "../support/sim-bus-world.ts";

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
    expect(await journal.saveRecords()).toBe(true);
    disk.fail = true;
    expect(await journal.saveRecords()).toBe(false);
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

describe("an agent whose disk is full", () => {
  const db = podNamed("db-1", { templateId: "a", fence: { leaseMs: 15_000 } });
  const web = podNamed("web-2");
  let sim: SimWorld;
  let leader: TestLeader;
  let agent: SimAgent;
  /** Told at once, and each time it asks. */
  const tell = async (generation: number, ...items: AssignedPod[]): Promise<void> => {
    Object.assign(leader, { generation, items });
    await sim.time.until(leader.assign().catch(() => {}));
  };

  beforeEach(async () => {
    sim = await SimWorld.open();
    agent = new SimAgent(sim);
    leader = new TestLeader((await sim.client()).bus, "test", "n1");
    Object.assign(leader, { epoch: 40, generation: 45, items: [db, web] });
    await agent.start();
    agent.disk.fail = true;
    await sim.time.pass(30_000);
    expect(agent.running).toEqual(["default/db-1", "default/web-2"]);
  });

  it("does nothing of what it is told, and its fenced pods go on, until it can write it down", async () => {
    await tell(60, db, { ...web, desired: "stop", generation: 60 });
    await sim.time.pass(60_000);
    expect([agent.generation, agent.running]).toEqual([45, ["default/db-1", "default/web-2"]]);
    agent.disk.fail = false;
    const { syncs } = leader;
    // All that comes is a hint, as after a heartbeat.
    await sim.time.until(leader.assign({ base: 60, items: [] }));
    expect([agent.generation, leader.syncs]).toEqual([60, syncs]);
    await sim.time.pass(5000);
    expect([agent.running, leader.state("db-1")]).toEqual([["default/db-1"], "ready"]);
  });

  it.each([
    ["is to stop", [{ ...db, desired: "stop" as const }]],
    ["is another by that name", [{ ...db, templateId: "b" }]],
    ["is not there", []],
  ])("lets a fenced pod go on for no lease that is granted once it heard that it %s", async (_what, told) => {
    await tell(60, web, ...told);
    await sim.time.pass(13_500);
    expect(agent.running).toContain("default/db-1");
    // Leases are granted all the time.
    await sim.time.pass(3000);
    expect(agent.running).toEqual(["default/web-2"]);
    await sim.time.pass(60_000);
    expect(agent.running).toEqual(["default/web-2"]);
    // Nor does it begin anew under the next agent, which finds the first assignment on the disk.
    await agent.start();
    await sim.time.pass(60_000);
    expect(agent.running).toEqual(["default/web-2"]);
    // The log lost its end, and the pod with it that is to stop.
    Object.assign(leader, { epoch: 61 });
    await tell(50, web, db);
    await sim.time.pass(5000);
    expect(agent.running.toSorted()).toEqual(["default/db-1", "default/web-2"]);
  });
});
