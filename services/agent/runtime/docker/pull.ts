// Makes images present. One pull per image at a time: whoever asks for one that is under way joins it.
import type { Cancel, Clock } from "../../../kernel/clock.ts";
import { SwainError } from "../../../kernel/errors.ts";
import { statusOf } from "./engine.ts";
import type { Engine } from "./engine.ts";
import { parseImage } from "./image.ts";
import type { ImageReference } from "./image.ts";
import { jsonLines } from "./json-lines.ts";
import { PullProgress } from "./progress.ts";
import { timeouts } from "./timeouts.ts";

/** People read progress; more often than this they cannot. */
const tellEvery = 500;

interface Pull {
  readonly done: Promise<void>;
  readonly listeners: Set<(text: string) => void>;
  readonly stop: AbortController;
}

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

  /** Pulls the image unless it is there. The pull itself ends early only when everyone who waits for it gave up. */
  async pull(text: string, onProgress: (text: string) => void, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const image = parseImage(text);
    if (await this.present(image)) return;
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
    const silence = this.watchSilence(image, stop);
    let toldAt = -Infinity;
    try {
      tell(progress.text());
      const stream = await this.engine.stream({
        what: `pull ${image.text}`,
        method: "POST",
        path: "/images/create",
        query: { fromImage: image.repository, tag: image.digest ?? image.tag },
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
      throw await this.failure(image, error);
    } finally {
      silence.cancel();
    }
    const failure = progress.failure();
    if (failure) throw refused(failure.code, `pull ${image.text}: ${failure.message}`, undefined);
    // The stream may have been cut without an error: only the image itself proves the pull.
    if (!(await this.present(image))) {
      throw new SwainError("IMAGE_PULL_FAILED", `${image.text} is not there after its pull`);
    }
  }

  private async failure(image: ImageReference, error: unknown): Promise<SwainError> {
    const status = statusOf(error);
    if (status !== undefined) return refused(await this.registryStatus(image, status), (error as Error).message, error);
    if (error instanceof SwainError) return error;
    return new SwainError("ENGINE_UNREACHABLE", `pull ${image.text}: the engine broke off`, { cause: error });
  }

  /** What the registry itself answers: the engine makes 404 or 500 of a refusal, but passes it on when asked about it. */
  private async registryStatus(image: ImageReference, status: number): Promise<number> {
    const path = `/distribution/${image.text}/json`;
    try {
      await this.engine.ask({ what: `ask about ${image.text}`, method: "GET", path, timeout: timeouts.registry });
      return status;
    } catch (error) {
      const told = statusOf(error);
      return told === 401 || told === 403 ? told : status;
    }
  }

  private watchSilence(image: ImageReference, stop: AbortController): { heard(): void; cancel: Cancel } {
    const seconds = timeouts.pullSilence / 1000;
    const giveUp = (): void =>
      stop.abort(new SwainError("IMAGE_PULL_FAILED", `pull of ${image.text}: nothing heard for ${seconds} s`));
    let cancel = this.clock.after(timeouts.pullSilence, giveUp);
    const heard = (): void => {
      cancel();
      cancel = this.clock.after(timeouts.pullSilence, giveUp);
    };
    return { heard, cancel: () => cancel() };
  }
}

function refused(status: number, message: string, cause: unknown): SwainError {
  const denied = status === 401 || status === 403;
  const code = denied ? "IMAGE_PULL_DENIED" : status === 404 ? "IMAGE_NOT_FOUND" : "IMAGE_PULL_FAILED";
  return new SwainError(code, message, { cause });
}

function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
