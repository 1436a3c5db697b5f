// A log that its leader has cut, with good snapshots of what was before.
import type { Bus } from "../../services/bus/port.ts";
import { snapshotPolicy } from "../../services/controller/snapshot/policy.ts";
import { checkSnapshots } from "../../services/controller/snapshot/work.ts";
import type { RealWorld } from "./bus.ts";
import { startTestController, TestClient, until } from "./controllers.ts";
import { workloadManifest } from "./core.ts";
import { workPorts } from "./snapshots.ts";

/** Of a leader that makes snapshots often, and cuts the log soon. */
export const cutting = { ...snapshotPolicy, events: 10, kept: 5, retryMs: 200, apartMs: 0 };

/** Leads until the log was cut, and stops. */
export async function cutLogOf(world: RealWorld, bus: Bus, id: string): Promise<void> {
  const { controller, counters } = await startTestController(world, id, { policy: cutting });
  const client = new TestClient(bus, "test");
  await client.leader();
  for (let n = 0; n < 20 || counters.cuts === 0; n++) {
    await client.apply([workloadManifest(`web${n % 3}`, { replicas: n % 4 })]);
  }
  client.bus.publish(client.subjects.event("pod", "default", "x", "y"), new Uint8Array([0xff, 0x00, 0x7b]));
  await client.apply([workloadManifest("last", { replicas: 2 })]);
  await controller.stop();
  await until("the last job is over", async () => (await checkSnapshots(workPorts(bus, "test"))).verified.length === 2);
}
