// Which runtime the nodes of this machine get, and why.
import type { Engine } from "../../services/agent/runtime/docker/engine.ts";

export const runtimes = ["auto", "docker", "process", "sim"] as const;
export type RuntimeChoice = (typeof runtimes)[number];
export type Runtime = Exclude<RuntimeChoice, "auto">;

export interface Chosen {
  readonly runtime: Runtime;
  /** As a sentence for people. */
  readonly reason: string;
  /** True when a container engine answered. */
  readonly engine: boolean;
}

/** `auto` takes a container engine when one answers, else plain processes. Never rejects. */
export async function chooseRuntime(wanted: RuntimeChoice): Promise<Chosen> {
  if (wanted === "process" || wanted === "sim") return { runtime: wanted, reason: "asked for", engine: false };
  const { probeEngine } = await import("../../services/agent/runtime/docker/engine.ts");
  const found = await probeEngine();
  if (wanted === "docker") {
    const state = found.ok ? `${found.engine} answers` : `no engine answers now: ${found.why}`;
    return { runtime: "docker", reason: `asked for; ${state}`, engine: found.ok };
  }
  return found.ok
    ? { runtime: "docker", reason: `${found.engine} answers`, engine: true }
    : { runtime: "process", reason: found.why, engine: false };
}

/** A connection to the engine for a single look or deed; close it. */
export async function openEngine(): Promise<Engine> {
  const { Engine } = await import("../../services/agent/runtime/docker/engine.ts");
  const { systemClock } = await import("../../services/kernel/node/clock.ts");
  return new Engine(systemClock);
}
