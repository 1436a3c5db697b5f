// A program in a container whose client leaves as it begins.
import { afterAll, expect, it } from "vitest";
import { createDockerDriver } from "../../services/agent/runtime/docker/driver.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import { newCluster, patience, run, specOf } from "../conformance/driver-support.ts";
import { clearClusters, describeEngine, testImage, willClear } from "../support/docker.ts";
import { lives } from "../support/processes.ts";

/** How long after the call the client leaves, milliseconds: before, as and after the engine begins the program. */
const leaves = Array.from({ length: 20 }, (_, place) => place * 3);

await describeEngine("a program whose client leaves as it begins", (engine) => {
  afterAll(() => clearClusters());

  it("is ended", async () => {
    const identity = { clusterUid: newCluster(), node: "n1" };
    willClear(identity.clusterUid, engine);
    const parts = { clock: systemClock, sockets: systemSockets, log: silent, socket: engine.socket };
    const driver = createDockerDriver({ identity: () => identity, ...parts });
    const { id } = await run(driver, specOf({ image: testImage, command: ["sleep", "1000"] }));
    const left: string[] = [];
    for (const ms of leaves) {
      const seconds = `${200_000 + process.pid}.${ms}`;
      left.push(seconds);
      const stop = new AbortController();
      setTimeout(() => stop.abort(new Error("left")), ms);
      const options = { command: ["sleep", seconds], tty: null, stdin: false, signal: stop.signal };
      await expect(driver.exec(id, options, async () => {}).then(({ ended }) => ended)).rejects.toThrow("left");
    }
    await driver.close();
    await expect.poll(() => left.filter((seconds) => lives("sleep", seconds)), patience).toEqual([]);
  });
});
