// Clocks of parts that jump, by way of libfaketime (Debian: `apt-get install faketime`). The clock that only goes forward is
// left alone, as it is by whoever sets a machine's clock.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ServerBinary } from "../support/nats.ts";
import { after, counts, describeFaults, FaultWorld, nodes, seen, untouched } from "./world.ts";

const library = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
  .map((machine) => `/usr/lib/${machine}/faketime/libfaketimeMT.so.1`)
  .find((path) => existsSync(path));

if (library === undefined) it("needs libfaketime", () => expect.fail("apt-get install faketime"));
else describeFaults("a cluster whose clocks jump", suite);

function suite(server: ServerBinary): void {
  const folder = mkdtempSync(join(tmpdir(), "swain-clock-"));
  const offset = join(folder, "offset");
  const env = {
    LD_PRELOAD: library ?? "",
    FAKETIME_TIMESTAMP_FILE: offset,
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  };
  let world: FaultWorld;

  beforeAll(async () => {
    writeFileSync(offset, "+0");
    world = await FaultWorld.open(server);
    // Half of the parts, so that clocks differ, too.
    for (const part of ["controller-1", `agent-${nodes[0]}`, `agent-${nodes[1]}`]) {
      await world.kill(part);
      world.revive(part, env);
    }
    // The one with the clock that jumps leads.
    while ((await world.cluster.leader()) !== "controller-1") {
      await world.kill("controller-2");
      await after(4000);
      world.revive("controller-2");
    }
  });
  afterAll(async () => {
    await world?.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each([
    ["+3", "forward"],
    ["-3", "back"],
  ])("by %s s", { timeout: 120_000 }, async (jump, way) => {
    const promise = "Nothing is moved, restarted or given up.";
    const fault = `Clocks of the leader and of two agents jump 3 s ${way}`;
    const is = await world.run({ fault, promise, skewMs: 3000 }, async (run) => {
      run.keepChanging(counts);
      await run.onset();
      run.fault();
      writeFileSync(offset, jump);
      run.mended();
      await after(6000);
    });
    expect(is).toMatchObject({ ...untouched, failed: 0 });
    seen(is, { silenceMs: 1000, convergedMs: 15_000 });
  });
}
