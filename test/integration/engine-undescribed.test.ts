// A container whose layer is gone, as after a power cut: the engine lists it, and cannot describe it.
import { accessSync, constants, renameSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, expect, it } from "vitest";
import { createDockerDriver } from "../../services/agent/runtime/docker/driver.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import { codeOf, newCluster, run, specOf } from "../conformance/driver-support.ts";
import { clearClusters, describeEngine, testImage, willClear } from "../support/docker.ts";

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

await describeEngine("a container that the engine cannot describe", (engine) => {
  afterAll(() => clearClusters());

  it("hides no other, and is listed with its name and state", async (test) => {
    const identity = { clusterUid: newCluster(), node: "n1" };
    willClear(identity.clusterUid, engine);
    const parts = { clock: systemClock, sockets: systemSockets, log: silent, socket: engine.socket };
    const driver = createDockerDriver({ identity: () => identity, ...parts });
    const idle = { image: testImage, command: ["sleep", "1000"] };
    const broken = await run(driver, specOf(idle));
    const whole = await run(driver, specOf(idle));
    const { GraphDriver } = await engine.api.getContainer(broken.id).inspect();
    const layer = dirname((GraphDriver.Data as { UpperDir?: string } | null)?.UpperDir ?? "/nowhere/diff");
    test.skip(!isWritable(dirname(layer)), "the engine's layers are not this user's to take away");
    renameSync(layer, `${layer}.away`);
    try {
      expect(await codeOf(driver.inspect(broken.id))).toBe("ENGINE_ERROR");
      const listed = await driver.list();
      const { id, pod, name, state } = broken;
      const known = { id, pod, name, state, oomKilled: false, ports: [] };
      expect(new Map(listed.map((one) => [one.id, one]))).toEqual(
        new Map([
          [id, known],
          [whole.id, whole],
        ]),
      );
    } finally {
      renameSync(`${layer}.away`, layer);
    }
    expect(await driver.list()).toEqual(expect.arrayContaining([broken, whole]));
    await driver.close();
  });
});
