// What the demo runs its replicas with: an engine only when it also has the image, or gets it soon.
import { chooseRuntime, openEngine } from "./runtime.ts";
import type { Chosen, RuntimeChoice } from "./runtime.ts";

const demoImage = "busybox:stable";
/** 2 MB: whoever needs longer has no way to the registry. */
const pullMs = 20_000;

/** Never rejects except when the signal aborts. */
export async function chooseDemoRuntime(wanted: RuntimeChoice, signal: AbortSignal): Promise<Chosen> {
  const chosen = await chooseRuntime(wanted);
  if (chosen.runtime !== "docker" || chosen.engine === "") return chosen;
  const image = await ensureImage(chosen.engine, signal);
  if (image.there) return { ...chosen, reason: `${chosen.reason}; ${demoImage} ${image.how}` };
  const reason = `${chosen.reason}, but ${demoImage} is not there and cannot be pulled: ${image.how}`;
  return wanted === "docker" ? { ...chosen, reason } : { runtime: "process", reason, engine: "" };
}

async function ensureImage(address: string, signal: AbortSignal): Promise<{ there: boolean; how: string }> {
  const { Pulls } = await import("../../services/agent/runtime/docker/pull.ts");
  const { parseImage } = await import("../../services/core/image.ts");
  const { systemClock } = await import("../../services/kernel/node/clock.ts");
  const engine = await openEngine(address);
  const pulls = new Pulls(engine, systemClock);
  try {
    if (await pulls.present(parseImage(demoImage))) return { there: true, how: "is there" };
    await pulls.pull(demoImage, () => {}, AbortSignal.any([signal, AbortSignal.timeout(pullMs)]));
    return { there: true, how: "was pulled" };
  } catch (error) {
    signal.throwIfAborted();
    return { there: false, how: error instanceof Error ? error.message : String(error) };
  } finally {
    engine.close();
  }
}
