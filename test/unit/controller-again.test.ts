// A change that is asked for again after another controller took over: whole controllers over the simulated bus.
import { expect, it } from "vitest";
import type { Controller } from "../../services/controller/controller.ts";
import { serviceManifest, workloadManifest } from "../support/core.ts";
import { names, SimWorld } from "../support/sim-bus-world.ts";
import { startSimController } from "../support/sim-controllers.ts";

async function lead(world: SimWorld, id: string): Promise<Controller> {
  const controller = await startSimController(world, await world.client(undefined, `controller ${id}`), id);
  await world.time.pass(5000);
  return controller;
}

it("is answered with all that was applied, also what it did not change", async () => {
  const world = await SimWorld.open();
  const { bus } = await world.client();
  const apply = async (operation: string, ...documents: unknown[]): Promise<Record<string, unknown>> => {
    const asked = bus.request(names.api("_", "manifest", "apply"), { operation, documents }, { timeoutMs: 2000 });
    return (await world.time.until(asked)).json() as Record<string, unknown>;
  };
  const first = await lead(world, "c1");
  expect(await apply("operation-1", workloadManifest("web"), workloadManifest("api"))).toHaveProperty("sequence");
  const documents = [workloadManifest("web", { replicas: 2 }), workloadManifest("api"), serviceManifest("web")];
  const { sequence } = await apply("operation-2", ...documents);
  await world.time.until(first.stop());
  const next = await lead(world, "c2");
  const again = await apply("operation-2", ...documents);
  expect(again["sequence"]).toBe(sequence);
  expect(again["results"]).toEqual([
    { kind: "Workload", namespace: "default", name: "web", action: "configured" },
    { kind: "Service", namespace: "default", name: "web", action: "configured" },
    { kind: "Workload", namespace: "default", name: "api", action: "unchanged" },
  ]);
  await world.time.until(next.stop());
});
