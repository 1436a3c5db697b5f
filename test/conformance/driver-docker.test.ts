import { existsSync } from "node:fs";
import { afterAll, beforeAll } from "vitest";
import { createDockerDriver } from "../../services/agent/runtime/docker/driver.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import { clearClusters, describeEngine, EngineProxy, testImage, willClear } from "../support/docker.ts";
import type { TestEngine } from "../support/docker.ts";
import { driverConformance } from "./driver.ts";
import type { Program } from "./driver-support.ts";

const shell = (script: string): Program => ({ image: testImage, command: ["sh", "-c"], args: [script] });
const page = 'mkdir /www; printf %s "$SWAIN_POD" > /www/index.html; httpd -f -h /www -p "$SWAIN_PORT_HTTP"';

const kinds = ["docker", "podman", "rootless"] as const;

await describeEngine("the docker driver", (engine) => suite(engine), kinds);

function suite(engine: TestEngine): void {
  const proxy = new EngineProxy(engine);
  beforeAll(() => proxy.heal());
  afterAll(async () => {
    await clearClusters();
    await proxy.close();
  });

  driverConformance(
    "containers of an engine",
    (identity) => {
      const noted = (): ReturnType<typeof identity> => {
        const known = identity();
        if (known) willClear(known.clusterUid, engine);
        return known;
      };
      const parts = { clock: systemClock, sockets: systemSockets, log: silent };
      return createDockerDriver({ socket: proxy.socket, identity: noted, ...parts });
    },
    {
      programs: {
        idle: shell('trap "exit 5" TERM; echo up; sleep 1000 & wait'),
        exits: (code) => shell(`exit ${code}`),
        // The kernel keeps signals without a handler from a container's first process.
        stubborn: shell("echo up; exec sleep 1000"),
        noCommand: { image: testImage, command: ["no-such-command"] },
        serves: { ...shell(page), ports: [{ name: "http", containerPort: 8080 }] },
        prints: shell("echo line 1; echo line 2; sleep 0.3; echo problem >&2; echo line 3"),
        shells: shell("sleep 1000"),
        counts: shell('printf . >> /dots; cat /dots; echo; echo "run ends"'),
        noImage: { image: "localhost/swain-no-such-image:none" },
        burns: shell("while :; do :; done"),
      },
      idleCode: 5,
      readyText: "up",
      async killOutside(_, id) {
        await engine.api.getContainer(id).kill({ signal: "SIGKILL" });
      },
      engine: { lose: () => proxy.cut(), regain: () => proxy.heal() },
      adopts: true,
      wholeSeconds: engine.kind === "podman",
      realPorts: true,
      ownAddresses: !engine.rootless,
      tellsUse: !engine.rootless || existsSync("/sys/fs/cgroup/cgroup.controllers"),
    },
  );
}
