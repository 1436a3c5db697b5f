// A machine with Podman that is cut off and comes up again: Podman takes back what it knew of the containers that ran.
import Dockerode from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDockerDriver } from "../../services/agent/runtime/docker/driver.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import { newCluster, patience, run, specOf } from "../conformance/driver-support.ts";
import { testImage } from "../support/docker.ts";
import { podmanMissing, startPodman } from "../support/podman.ts";
import type { PodmanService } from "../support/podman.ts";

describe.skipIf(podmanMissing() !== null && process.env["CI"] === undefined)("after its machine was cut off", () => {
  let podman: PodmanService;
  beforeAll(async () => {
    podman = await startPodman(testImage);
  });
  afterAll(() => podman?.stop());

  it("what ran has ended, nobody knows how, and can be started; what never ran is made", async () => {
    const identity = { clusterUid: newCluster(), node: "n1" };
    const parts = { clock: systemClock, sockets: systemSockets, log: silent, socket: podman.socket };
    const driver = createDockerDriver({ identity: () => identity, ...parts });
    const job = (script: string) => specOf({ image: testImage, command: ["sh", "-c"], args: [script] });
    const { id: ran } = await run(driver, job("exec sleep 1000"));
    const { id: failed } = await run(driver, job("exit 3"));
    const made = await driver.create(job("exec sleep 1000"));
    const container = new Dockerode({ socketPath: podman.socket }).getContainer(failed);
    await expect.poll(async () => (await container.inspect()).State.Status, patience).toBe("exited");
    await podman.reboot();
    expect(await driver.inspect(ran)).toMatchObject({ state: "exited", exitCode: null });
    expect(await driver.inspect(failed)).toMatchObject({ state: "exited", exitCode: 3 });
    expect((await driver.inspect(made))?.state).toBe("created");
    expect((await driver.start(ran)).state).toBe("running");
    for (const { id } of await driver.list()) await driver.remove(id);
    await driver.close();
  });
});
