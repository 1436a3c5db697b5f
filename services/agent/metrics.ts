// Measures the pods every few seconds and publishes it over the bulk connection. Called by `agent.ts`.
import type { NodeMetrics, PodUsage, Usage } from "../../schemas/generated/types.ts";
import { asSwainError } from "../kernel/errors.ts";
import type { Pods } from "./pods.ts";
import type { AgentPorts } from "./ports.ts";

/** What one message holds. */
const maxPods = 1000;

/** One measurement; null when the engine cannot be asked now. */
export async function measure(ports: AgentPorts, pods: Pods): Promise<NodeMetrics | null> {
  if (pods.engineTrouble() !== null) return null;
  const running = pods.running().slice(0, maxPods);
  try {
    const usage = await pods.driver.usage(running.flatMap(({ ids }) => ids));
    const measured: PodUsage[] = running.flatMap(({ pod, ids }) => {
      const found = ids.flatMap((id) => usage.get(id) ?? []);
      // A part of a pod is no figure of it: taken for the whole, it would make a busy pod look idle.
      if (found.length < ids.length || ids.length === 0) return [];
      return [{ namespace: pod.namespace, name: pod.name, ...sum(found) }];
    });
    const node = ports.machineUsage === null ? sum(measured) : ports.machineUsage();
    return { time: ports.clock.wall(), node, pods: measured };
  } catch (error) {
    const { code, message } = asSwainError(error);
    ports.log.debug("the pods could not be measured", { code, message });
    return null;
  }
}

function sum(parts: readonly { readonly cpuMillis: number; readonly memoryBytes: number }[]): Usage {
  let cpuMillis = 0;
  let memoryBytes = 0;
  for (const part of parts) {
    cpuMillis += part.cpuMillis;
    memoryBytes += part.memoryBytes;
  }
  return { cpuMillis: Math.round(cpuMillis), memoryBytes: Math.round(memoryBytes) };
}
