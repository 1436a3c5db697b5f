// Fetches a pinned release archive, holds it against its SHA-256, and unpacks the program into the cache.
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { SwainError } from "../../kernel/errors.ts";
import type { Pin } from "./pins.ts";
import { lastLine, run } from "./run.ts";

const upstream = "https://github.com/nats-io/nats-server/releases/download";

/** A machine without a way out should learn it soon … */
const answerMs = 10_000;
/** … while 20 MB over a slow line may take minutes. */
const wholeMs = 180_000;
/** Three times the release: more is not the file asked for. */
const maxBytes = 64 * 1024 * 1024;

/** The base URL, which `SWAIN_NATS_DOWNLOAD_URL` overrides: a mirror with the same paths. */
export function downloadBase(env: NodeJS.ProcessEnv): string {
  return (env["SWAIN_NATS_DOWNLOAD_URL"] ?? upstream).replace(/\/+$/, "");
}

/**
 * Puts the program at `<cache>/v<version>/nats-server` and returns that path.
 * Rejects with CHECKSUM_MISMATCH (the file is thrown away) or NATS_SERVER_MISSING (no answer, no such file, no tar).
 */
export async function downloadServer(
  pin: Pin,
  options: { base: string; cache: string; signal?: AbortSignal | undefined },
): Promise<string> {
  const url = `${options.base}/v${pin.version}/${pin.file}`;
  await mkdir(options.cache, { recursive: true, mode: 0o700 });
  const work = await mkdtemp(join(options.cache, ".download-"));
  try {
    const archive = join(work, pin.file);
    const sha256 = await fetchFile(url, archive, options.signal);
    if (sha256 !== pin.sha256) {
      throw new SwainError("CHECKSUM_MISMATCH", `${url} has SHA-256 ${sha256}, expected ${pin.sha256}.`);
    }
    const program = join(work, pin.file.replace(/\.tar\.gz$/, ""), "nats-server");
    const unpacked = await run("tar", ["-xzf", archive, "-C", work], { timeoutMs: 60_000, signal: options.signal });
    if (unpacked.code !== 0) {
      throw new SwainError("NATS_SERVER_MISSING", `cannot unpack ${pin.file}: ${lastLine(unpacked)}`);
    }
    return await moveIntoCache(program, join(options.cache, `v${pin.version}`));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Moves a finished program to `<folder>/nats-server` in one step, so that nobody ever sees half of one. */
export async function moveIntoCache(program: string, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(program, 0o755);
  const target = join(folder, "nats-server");
  await rename(program, target);
  return target;
}

async function fetchFile(url: string, target: string, signal: AbortSignal | undefined): Promise<string> {
  const limit = new AbortController();
  const abort = (why: string): void => limit.abort(new Error(why));
  const answer = setTimeout(() => abort(`no answer after ${answerMs / 1000} s`), answerMs);
  const whole = setTimeout(() => abort(`not complete after ${wholeMs / 1000} s`), wholeMs);
  const onAbort = (): void => abort("interrupted");
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const response = await fetch(url, { signal: limit.signal });
    clearTimeout(answer);
    if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`);
    const hash = createHash("sha256");
    let bytes = 0;
    const count = async function* (source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of source) {
        bytes += chunk.length;
        if (bytes > maxBytes) throw new Error(`larger than ${maxBytes} bytes`);
        hash.update(chunk);
        yield chunk;
      }
    };
    // The whole must be in the file before it is judged; the hash is taken on the way.
    await pipeline(Readable.fromWeb(response.body), count, createWriteStream(target, { mode: 0o600 }));
    return hash.digest("hex");
  } catch (error) {
    throw new SwainError("NATS_SERVER_MISSING", `${url}: ${describe(error)}`, { cause: error });
  } finally {
    clearTimeout(answer);
    clearTimeout(whole);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** `fetch failed` alone says nothing: the cause does. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
