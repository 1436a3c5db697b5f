// Makes images present. One pull per image at a time: whoever asks for one that is under way joins it.
import type { Container } from "../../../../schemas/generated/types.ts";
import type { Cancel, Clock } from "../../../kernel/clock.ts";
import { SwainError } from "../../../kernel/errors.ts";
import type { Code } from "../../../kernel/errors.ts";
import { credentialsFor, registryAuth } from "./credentials.ts";
import { statusOf } from "./engine.ts";
import type { Engine } from "./engine.ts";
import { isDiskFull } from "./failures.ts";
import { parseImage } from "../../../core/image.ts";
import type { ImageReference } from "../../../core/image.ts";
import { jsonLines } from "./json-lines.ts";
import { PullProgress } from "./progress.ts";
import { askRegistry } from "./registry.ts";
import type { Credentials, RegistryAnswer } from "./registry.ts";
import { timeouts } from "./timeouts.ts";

/** People read progress; more often than this they cannot. */
const tellEvery = 500;

interface Pull {
  readonly done: Promise<void>;
  readonly listeners: Set<(text: string) => void>;
  readonly stop: AbortController;
}

type PullPolicy = NonNullable<Container["imagePullPolicy"]>;

export class Pulls {
  private readonly engine: Engine;
  private readonly clock: Clock;
  private readonly running = new Map<string, Pull>();

  constructor(engine: Engine, clock: Clock) {
    this.engine = engine;
    this.clock = clock;
  }

  /** True when the engine holds the image. */
  async present(image: ImageReference): Promise<boolean> {
    const path = `/images/${image.text}/json`;
    try {
      await this.engine.ask({ what: `look for image ${image.text}`, method: "GET", path, timeout: timeouts.read });
      return true;
    } catch (error) {
      if (statusOf(error) === 404) return false;
      throw error;
    }
  }

  /**
   * Makes the image present as the policy says: Missing asks the registry only for what is not there, Always in any
   * case, Never not at all. The pull itself ends early only when everyone who waits for it gave up.
   */
  async pull(
    text: string,
    onProgress: (text: string) => void,
    signal: AbortSignal,
    policy: PullPolicy = "Missing",
  ): Promise<void> {
    signal.throwIfAborted();
    const image = parseImage(text);
    if (policy !== "Always" && (await this.present(image))) return;
    if (policy === "Never") {
      throw new SwainError("IMAGE_NEVER_PULLED", `image ${text} is not on this node, and its imagePullPolicy is Never`);
    }
    signal.throwIfAborted();
    const pull = this.running.get(image.text) ?? this.begin(image);
    // Each caller has a listener of its own, so that the same function may be given twice.
    const listener = (progress: string): void => onProgress(progress);
    pull.listeners.add(listener);
    try {
      await unlessAborted(pull.done, signal);
    } finally {
      pull.listeners.delete(listener);
      if (pull.listeners.size === 0) pull.stop.abort(new SwainError("IMAGE_PULL_FAILED", `pull of ${text} given up`));
    }
  }

  private begin(image: ImageReference): Pull {
    const listeners = new Set<(text: string) => void>();
    const stop = new AbortController();
    const tell = (text: string): void => {
      for (const listener of listeners) listener(text);
    };
    const done = this.run(image, tell, stop).finally(() => {
      if (this.running.get(image.text)?.stop === stop) this.running.delete(image.text);
    });
    // A pull that nobody waits for any more is given up: a newcomer starts another one instead of joining it.
    stop.signal.addEventListener("abort", () => this.running.delete(image.text), { once: true });
    done.catch(() => {});
    const pull = { done, listeners, stop };
    this.running.set(image.text, pull);
    return pull;
  }

  private async run(image: ImageReference, tell: (text: string) => void, stop: AbortController): Promise<void> {
    const progress = new PullProgress(image.text);
    const credentials = await credentialsFor(image);
    const silence = this.watchSilence(image, stop);
    let toldAt = -Infinity;
    try {
      tell(progress.text());
      const stream = await this.engine.stream({
        what: `pull ${image.text}`,
        method: "POST",
        path: "/images/create",
        query: { fromImage: image.repository, tag: image.digest ?? image.tag },
        ...(credentials === null ? {} : { auth: registryAuth(credentials, image) }),
        timeout: timeouts.pullSilence,
        signal: stop.signal,
      });
      for await (const line of jsonLines(stream)) {
        silence.heard();
        progress.take(line);
        if (this.clock.mono() - toldAt < tellEvery) continue;
        toldAt = this.clock.mono();
        tell(progress.text());
      }
    } catch (error) {
      stop.signal.throwIfAborted();
      throw await this.failure(image, credentials, error);
    } finally {
      silence.cancel();
    }
    const failure = progress.failure();
    if (failure) throw await this.refusal(image, credentials, `pull ${image.text}: ${failure.message}`);
    // The stream may have been cut without an error: only the image itself proves the pull.
    if (!(await this.present(image))) {
      throw new SwainError("IMAGE_PULL_FAILED", `${image.text} is not there after its pull`);
    }
  }

  private async failure(image: ImageReference, credentials: Credentials | null, error: unknown): Promise<SwainError> {
    if (statusOf(error) !== undefined) return this.refusal(image, credentials, (error as Error).message, error);
    if (error instanceof SwainError) return error;
    return new SwainError("ENGINE_UNREACHABLE", `pull ${image.text}: the engine broke off`, { cause: error });
  }

  /** The engine says in prose alone why it could not: the registry is asked, through the engine where it can, else directly. */
  private async refusal(
    image: ImageReference,
    credentials: Credentials | null,
    message: string,
    cause?: unknown,
  ): Promise<SwainError> {
    if (isDiskFull(message)) return new SwainError("DISK_FULL", message, { cause });
    const told = await this.askThroughEngine(image, credentials);
    const answer = told ?? (await askRegistry(image, credentials, timeouts.registry));
    return new SwainError(answerCodes[answer], message, { cause });
  }

  /** Null when the engine does not know, or cannot be asked such a thing (Podman). */
  private async askThroughEngine(
    image: ImageReference,
    credentials: Credentials | null,
  ): Promise<RegistryAnswer | null> {
    const call = { what: `ask about ${image.text}`, method: "GET", path: `/distribution/${image.text}/json` } as const;
    const auth = credentials === null ? {} : { auth: registryAuth(credentials, image) };
    if (await this.engine.isPodman()) return null;
    try {
      await this.engine.ask({ ...call, ...auth, timeout: timeouts.registry });
      return "found";
    } catch (error) {
      const status = statusOf(error);
      return status === 401 || status === 403 ? "denied" : status === 404 ? "absent" : null;
    }
  }

  private watchSilence(image: ImageReference, stop: AbortController): { heard(): void; cancel: Cancel } {
    const seconds = timeouts.pullSilence / 1000;
    const giveUp = (): void =>
      stop.abort(new SwainError("IMAGE_PULL_TIMEOUT", `pull of ${image.text}: nothing heard for ${seconds} s`));
    let cancel = this.clock.after(timeouts.pullSilence, giveUp);
    const heard = (): void => {
      cancel();
      cancel = this.clock.after(timeouts.pullSilence, giveUp);
    };
    return { heard, cancel: () => cancel() };
  }
}

const answerCodes: Readonly<Record<RegistryAnswer, Code>> = {
  found: "IMAGE_PULL_FAILED",
  unclear: "IMAGE_PULL_FAILED",
  absent: "IMAGE_NOT_FOUND",
  denied: "IMAGE_PULL_DENIED",
  unreachable: "REGISTRY_UNREACHABLE",
  timeout: "IMAGE_PULL_TIMEOUT",
};

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
