// A Podman whose service ends in the middle of a stop leaves a container "stopping": its programs run, nobody ends them.
import { existsSync } from "node:fs";
import Dockerode from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDockerDriver } from "../../services/agent/runtime/docker/driver.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import { newCluster, patience, ready, run, specOf } from "../conformance/driver-support.ts";
import { testImage } from "../support/docker.ts";
import { podmanMissing, startPodman } from "../support/podman.ts";
import type { PodmanService } from "../support/podman.ts";

describe.skipIf(podmanMissing() !== null && process.env["CI"] === undefined)(
  "a container in the middle of a stop",
  () => {
    let podman: PodmanService;
    beforeAll(async () => {
      podman = await startPodman(testImage);
    });
    afterAll(() => podman?.stop());

    it("counts as running, and is removed with its programs", { timeout: 60_000 }, async () => {
      const identity = { clusterUid: newCluster(), node: "n1" };
      const parts = { clock: systemClock, sockets: systemSockets, log: silent, socket: podman.socket };
      const driver = createDockerDriver({ identity: () => identity, ...parts });
      const script = "trap : TERM; echo ready; while :; do sleep 0.1; done";
      const { id } = await run(driver, specOf({ image: testImage, command: ["sh", "-c"], args: [script] }));
      await ready(driver, id, "ready");
      const container = new Dockerode({ socketPath: podman.socket }).getContainer(id);
      const state = async () => (await container.inspect()).State;
      const stopping = driver.stop(id, 60_000).catch((error: unknown) => error);
      await expect.poll(async () => (await state()).Status, patience).toBe("stopping");
      await podman.restart();
      await stopping;
      const { Pid, Status } = await state();
      expect(Status).toBe("stopping");
      expect(existsSync(`/proc/${Pid}`)).toBe(true);
      expect((await driver.inspect(id))?.state).toBe("running");
      await driver.remove(id);
      expect(existsSync(`/proc/${Pid}`)).toBe(false);
      expect(await driver.inspect(id)).toBeNull();
      await driver.close();
    });

    it("can be stopped once more", { timeout: 60_000 }, async () => {
      const identity = { clusterUid: newCluster(), node: "n1" };
      const parts = { clock: systemClock, sockets: systemSockets, log: silent, socket: podman.socket };
      const driver = createDockerDriver({ identity: () => identity, ...parts });
      const script = "trap : TERM; echo ready; while :; do sleep 0.1; done";
      const { id } = await run(driver, specOf({ image: testImage, command: ["sh", "-c"], args: [script] }));
      await ready(driver, id, "ready");
      const stopping = driver.stop(id, 60_000).catch((error: unknown) => error);
      const container = new Dockerode({ socketPath: podman.socket }).getContainer(id);
      await expect.poll(async () => (await container.inspect()).State.Status, patience).toBe("stopping");
      await podman.restart();
      await stopping;
      await driver.stop(id, 0);
      expect((await driver.inspect(id))?.state).toBe("exited");
      await driver.remove(id);
      await driver.close();
    });
  },
);
