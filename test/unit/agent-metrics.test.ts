// What an agent says its pods use: the sum over their containers, or nothing.
import { expect, test } from "vitest";
import { measure } from "../../services/agent/metrics.ts";
import type { Pods } from "../../services/agent/pods.ts";
import type { AgentPorts } from "../../services/agent/ports.ts";
import { silent } from "../../services/kernel/log.ts";
import { ManualClock, podNamed } from "../support/agent.ts";

test("a pod of which a container could not be measured is left out, lest the part be taken for the whole", async () => {
  const known = new Map(["a", "b", "c"].map((id) => [id, { cpuMillis: 10, memoryBytes: 1000 }]));
  const pods = {
    engineTrouble: () => null,
    running: () => [
      { pod: podNamed("web-1"), ids: ["a", "b"] },
      { pod: podNamed("web-2"), ids: ["c", "gone"] },
    ],
    driver: { usage: () => Promise.resolve(known) },
  } as unknown as Pods;
  const ports = { clock: new ManualClock(), log: silent, machineUsage: null } as unknown as AgentPorts;
  expect(await measure(ports, pods)).toMatchObject({
    node: { cpuMillis: 20, memoryBytes: 2000 },
    pods: [{ name: "web-1", cpuMillis: 20, memoryBytes: 2000 }],
  });
});
