// Makes a container, or finds the one that an earlier, interrupted call made.
import { readFile } from "node:fs/promises";
import type Dockerode from "dockerode";
import { sleep } from "../../../kernel/clock.ts";
import type { Clock } from "../../../kernel/clock.ts";
import { SwainError } from "../../../kernel/errors.ts";
import type { ContainerSpec, DriverIdentity } from "../driver.ts";
import type { ContainerCalls } from "./calls.ts";
import { causeOf, statusOf } from "./engine.ts";
import { createFailure, missingFolder } from "./failures.ts";
import { parseImage } from "../../../core/image.ts";
import { asksForGpus, containerInfo } from "./inspect.ts";
import type { Inspected } from "./inspect.ts";
import { containerName, distinctName, isOurs, isSame, labels } from "./labels.ts";
import { createOptions } from "./options.ts";
import { seccompOption } from "./sandbox.ts";
import type { Pulls } from "./pull.ts";
import { conflictRetry } from "./timeouts.ts";

export interface CreateParts {
  readonly calls: ContainerCalls;
  readonly pulls: Pulls;
  readonly clock: Clock;
  /** CPUs of the engine's machine. */
  readonly cpus: () => Promise<number>;
  readonly isPodman: () => Promise<boolean>;
}

/** Docker says "conflict", Podman a general failure with its cause. */
const nameIsTaken = (error: unknown): boolean =>
  statusOf(error) === 409 || causeOf(error) === "that name is already in use";

/** The container's id. Errors as the driver port says. */
export async function createContainer(
  parts: CreateParts,
  spec: ContainerSpec,
  identity: DriverIdentity,
): Promise<string> {
  const { limits, cpuSet } = spec.container.resources ?? {};
  const cpus = limits?.cpu === undefined && cpuSet === undefined ? 0 : await parts.cpus();
  const podman = await parts.isPodman();
  const seccomp = await seccompOption(spec.container.security?.seccomp, podman, readProfile);
  const options = createOptions(spec, identity, cpus, seccomp);
  let name = containerName(spec, identity);
  if (podman) {
    // It would make a folder that is not there, where Docker refuses.
    const folder = await missingFolder((spec.container.volumes ?? []).flatMap(({ hostPath }) => hostPath ?? []));
    if (folder !== null) throw folder;
  }
  for (let time = 0; time < conflictRetry.times; time += 1) {
    try {
      return await made(parts, await parts.calls.create(name, options), spec);
    } catch (error) {
      if (!nameIsTaken(error)) {
        throw await createFailure(
          error,
          spec,
          cpus,
          async () => !(await parts.pulls.present(parseImage(options.Image ?? ""))),
        );
      }
    }
    const holder = await parts.calls.inspectAny(name);
    const next = nextStep(holder, name, options, spec, identity);
    if (next.step === "use") return next.id;
    if (next.step === "rename") name = distinctName(spec, identity);
    if (next.step === "remove") await parts.calls.remove(next.id);
    if (next.step === "wait") await sleep(parts.clock, conflictRetry.everyMs);
  }
  throw new SwainError("ENGINE_ERROR", `the name ${name} did not become free`);
}

async function readProfile(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new SwainError("SANDBOX_REFUSED", `the seccomp profile ${path} cannot be read on this node`, { cause });
  }
}

/** The id, when the engine took the request for GPUs: one that passes it over in silence must not seem to have any. */
async function made(parts: CreateParts, id: string, spec: ContainerSpec): Promise<string> {
  if (spec.container.gpus === undefined) return id;
  const found = await parts.calls.inspect(id);
  if (found === null || asksForGpus(found)) return id;
  await parts.calls.remove(id);
  throw new SwainError("GPU_UNAVAILABLE", "this container engine gives no GPUs through its API");
}

type Step = { step: "use" | "remove"; id: string } | { step: "rename" | "wait" };

/** What to do about the container that holds the name. */
function nextStep(
  holder: Inspected | null,
  name: string,
  options: Dockerode.ContainerCreateOptions,
  spec: ContainerSpec,
  identity: DriverIdentity,
): Step {
  // The name is reserved before the container can be seen, and freed after it cannot.
  if (holder === null) return { step: "wait" };
  if (isSame(holder.Config.Labels, spec, identity)) {
    const usable = holder.State.Status !== "removing" && holder.State.Status !== "dead";
    const asWished = holder.Config.Labels[labels.spec] === options.Labels?.[labels.spec];
    // A running one is never removed here: the agent decides that. One that was made for a gone network must go.
    const keep = usable && (asWished || containerInfo(holder, null).state === "running");
    return { step: keep ? "use" : "remove", id: holder.Id };
  }
  if (isOurs(holder.Config.Labels, identity) && name !== distinctName(spec, identity)) return { step: "rename" };
  throw new SwainError("ENGINE_ERROR", `a container that is not this node's has the name ${name}: rename or remove it`);
}
