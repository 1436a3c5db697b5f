// Which runtime the nodes of this machine get, and why.
import type { Engine } from "../../services/agent/runtime/docker/engine.ts";

export const runtimes = ["auto", "docker", "process", "sim"] as const;
export type RuntimeChoice = (typeof runtimes)[number];
export type Runtime = Exclude<RuntimeChoice, "auto">;

export interface Chosen {
  readonly runtime: Runtime;
  /** As a sentence for people. */
  readonly reason: string;
  /** Address of the container engine that answered; empty when none did, or none was looked for. */
  readonly engine: string;
}

/**
 * `auto` takes a container engine when one answers, else plain processes. `engine` is where the user says it is; without
 * it Docker and Podman are looked for. Never rejects.
 */
export async function chooseRuntime(wanted: RuntimeChoice, engine?: string): Promise<Chosen> {
  if (wanted === "process" || wanted === "sim") return { runtime: wanted, reason: "asked for", engine: "" };
  const { findEngine } = await import("../../services/agent/runtime/docker/places.ts");
  const found = await findEngine(engine);
  const address = found.ok ? found.place.address : "";
  if (wanted === "docker") {
    return { runtime: "docker", reason: `asked for; ${found.ok ? found.reason : found.why}`, engine: address };
  }
  return found.ok
    ? { runtime: "docker", reason: found.reason, engine: address }
    : { runtime: "process", reason: found.why, engine: "" };
}

/** A connection to the engine at that address for a single look or deed; close it. */
export async function openEngine(address: string): Promise<Engine> {
  const { Engine } = await import("../../services/agent/runtime/docker/engine.ts");
  const { systemClock } = await import("../../services/kernel/node/clock.ts");
  return new Engine(systemClock, async () => address);
}
