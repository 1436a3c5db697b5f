import { describe, expect, it } from "vitest";
import { Chance } from "../simulation/chance.ts";
import { script } from "../simulation/faults.ts";
import { ProcessClock, Timeline } from "../simulation/time.ts";
import { Troubles } from "../simulation/troubles.ts";

const hourMs = 3_600_000;

describe("a script of faults", () => {
  it("has no hour with fewer than the least, and is the same for the same seed", () => {
    const amounts = { perHour: 5, drillsPerHour: 1, least: 60, servers: 3 as const };
    const made = script(new Chance("a").stream("faults"), 3.5 * hourMs, amounts);
    const times = made.map(({ at }) => at);
    const each = [0, 1, 2, 3].map((hour) => times.filter((at) => Math.floor(at / hourMs) === hour).length);
    expect(each.slice(0, 3).every((count) => count >= 60)).toBe(true);
    expect(each[3]).toBeGreaterThanOrEqual(30);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(script(new Chance("a").stream("faults"), 3.5 * hourMs, amounts)).toEqual(made);
  });
});

describe("two pauses of one process", () => {
  it("last until both are over, and count once while both do", async () => {
    const timeline = new Timeline();
    const clock = new ProcessClock(timeline);
    const troubles = new Troubles(() => timeline.now);
    const ran: number[] = [];
    const pause = (at: number, ms: number): void =>
      void timeline.after(at, () => {
        const over = troubles.begin("c1", "pause");
        clock.pause();
        timeline.after(ms, () => {
          clock.resume();
          over();
        });
      });
    clock.every(100, () => ran.push(timeline.now));
    pause(150, 300);
    pause(250, 500);
    await timeline.run(1000, () => {});
    expect(ran).toEqual([100, 750, 850, 950]);
    expect(troubles.lasted("c1", "pause", 0)).toBe(600);
    expect(troubles.lasted("c1", "pause", 700)).toBe(50);
    expect(troubles.lasted("c1", "pause", 0, 400)).toBe(500);
  });
});
