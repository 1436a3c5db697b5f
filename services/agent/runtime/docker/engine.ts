// The connection to one container engine: finds it, asks it in bounded time, and turns its failures into SwainErrors.
// It knows HTTP and status codes, and of containers only that one alone may be stuck. Used by every file of this folder.
import { Agent } from "node:http";
import { inspect } from "node:util";
import type { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import type Dockerode from "dockerode";
import type { Clock } from "../../../kernel/clock.ts";
import { SwainError } from "../../../kernel/errors.ts";
import type { RegistryAuth } from "./credentials.ts";
import { timeouts } from "./timeouts.ts";

/** Tells the address of the engine; asked until it is known, then never again. Rejects with ENGINE_UNREACHABLE. */
export type Locate = () => Promise<string>;

/** One call of the engine's API. */
export interface EngineCall {
  /** What is being done, for error messages: "start container web". */
  readonly what: string;
  readonly method: "GET" | "POST" | "DELETE";
  /** Path below the API's root. */
  readonly path: string;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: object;
  /** Credentials for a registry, sent in a header of this call. */
  readonly auth?: RegistryAuth;
  /** The connection itself becomes the answer, for both directions. */
  readonly hijack?: boolean;
  /** Milliseconds until the answer (of a stream: its first byte) must be there. */
  readonly timeout: number;
  /** Ends the call early; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** The path of a unix socket address, undefined for any other. */
export const socketPath = (address: string): string | undefined =>
  address.startsWith("unix://") ? address.slice("unix://".length) : undefined;

const ok = { 200: true, 201: true, 204: true } as const;

/** The HTTP status the engine answered with, undefined when it did not answer. */
export function statusOf(error: unknown): number | undefined {
  const status = error instanceof SwainError ? error.details["status"] : undefined;
  return typeof status === "number" ? status : undefined;
}

/** True when the engine took the call and had not answered when its time was over. */
const isLate = (error: unknown): boolean => error instanceof SwainError && error.details["late"] === true;

/** What Podman names as the root of a refusal, in fixed words meant for programs; Docker names nothing of the kind. */
export function causeOf(error: unknown): string | undefined {
  const cause = error instanceof SwainError ? error.details["cause"] : undefined;
  return typeof cause === "string" ? cause : undefined;
}

interface ModemError {
  readonly statusCode?: number;
  readonly code?: string;
  readonly message?: string;
  readonly json?: { readonly message?: unknown; readonly cause?: unknown } | null;
}

/** A connection to one engine. Every call is one HTTP request of its own, so a broken one spoils no other. */
export class Engine {
  private readonly clock: Clock;
  private readonly locate: Locate;
  private readonly open = new Set<(why: SwainError) => void>();
  private known = "";
  private client: Promise<Dockerode> | undefined;
  private podman: Promise<boolean> | undefined;
  /** When the newest call began that was answered. */
  private seen: { readonly mono: number; readonly wall: number } | undefined;
  private closed = false;

  constructor(clock: Clock, locate: Locate) {
    this.clock = clock;
    this.locate = locate;
  }

  /** Empty until the engine was looked for with success. */
  get address(): string {
    return this.known;
  }

  /** True when the engine is Podman, whose answers differ here and there. */
  isPodman(): Promise<boolean> {
    const call = { what: "version", method: "GET", path: "/version", timeout: timeouts.read } as const;
    this.podman ??= this.ask<EngineVersion>(call).then(isPodmanVersion);
    // A failure is not kept: the next question asks again.
    this.podman.catch(() => {
      this.podman = undefined;
    });
    return this.podman;
  }

  /** The parsed answer. Rejects with ENGINE_UNREACHABLE, or ENGINE_ERROR with `details.status`. */
  ask<T>(call: EngineCall): Promise<T> {
    return this.run<T>(call, false);
  }

  /**
   * The same for a call about one container: what hangs may be that container alone, as one that starts with a volume on a
   * server that is gone. While the engine answers others, rejects with CONTAINER_STUCK: nobody knows what was done.
   */
  async askAboutOne<T>(call: EngineCall): Promise<T> {
    try {
      return await this.ask<T>(call);
    } catch (error) {
      if (!isLate(error) || !(await this.answers())) throw error;
      const what = `${call.what}: no answer within ${call.timeout / 1000} s, though the container engine answers others`;
      throw new SwainError("CONTAINER_STUCK", what, { cause: error });
    }
  }

  /** The answer as a stream; destroy it to end the call. */
  stream(call: EngineCall): Promise<IncomingMessage> {
    return this.run<IncomingMessage>(call, true);
  }

  /** The connection after the answer's head, for both directions; destroy it to end the call. */
  connection(call: EngineCall): Promise<Socket> {
    return this.run<Socket>({ ...call, hijack: true }, true);
  }

  /** Ends every call under way. */
  close(): void {
    this.closed = true;
    for (const end of this.open) end(this.unreachable("the driver was closed"));
  }

  private answers(): Promise<boolean> {
    return this.ask({ what: "ping", method: "GET", path: "/_ping", timeout: timeouts.ping }).then(
      () => true,
      () => false,
    );
  }

  /** When the newest call began that was answered: then the engine was there. Milliseconds since 1970; null before the first. */
  get seenAt(): number | null {
    return this.seen?.wall ?? null;
  }

  private async run<T>(call: EngineCall, isStream: boolean): Promise<T> {
    call.signal?.throwIfAborted();
    if (this.closed) throw this.unreachable("the driver was closed");
    const docker = await this.connect();
    call.signal?.throwIfAborted();
    const controller = new AbortController();
    const begun = { mono: this.clock.mono(), wall: this.clock.wall() };
    return new Promise<T>((resolve, reject) => {
      // A client library may never settle when a connection breaks inside an answer; this promise always does.
      const end = (error: unknown): void => {
        controller.abort();
        settle();
        reject(error);
      };
      const seconds = call.timeout / 1000;
      const cancelTimer = this.clock.after(call.timeout, () =>
        end(this.unreachable(`${call.what}: no answer within ${seconds} s`, undefined, { late: true })),
      );
      const onAbort = (): void => end(call.signal?.reason);
      const settle = (): void => {
        cancelTimer();
        this.open.delete(end);
        call.signal?.removeEventListener("abort", onAbort);
      };
      this.open.add(end);
      call.signal?.addEventListener("abort", onAbort, { once: true });
      dial(docker, call, isStream, controller.signal, (error, data) => {
        settle();
        const failure = error && this.failure(call.what, error);
        if (failure === null || statusOf(failure) !== undefined) this.see(begun);
        if (failure) {
          reject(failure);
        } else {
          if (isStream) this.handOver(data as IncomingMessage | Socket, call, controller);
          resolve(data as T);
        }
      });
    });
  }

  private see(begun: { readonly mono: number; readonly wall: number }): void {
    if (this.seen === undefined || begun.mono > this.seen.mono) this.seen = begun;
  }

  /** From here on the stream's reader owns it; closing the engine or aborting the call still ends it. */
  private handOver(stream: IncomingMessage | Socket, call: EngineCall, controller: AbortController): void {
    const end = (): void => {
      controller.abort();
      stream.destroy();
    };
    const socket = stream instanceof Socket ? stream : stream.socket;
    socket.setKeepAlive(true, 15_000);
    this.open.add(end);
    call.signal?.addEventListener("abort", end, { once: true });
    stream.once("close", () => {
      this.open.delete(end);
      call.signal?.removeEventListener("abort", end);
    });
    // Somebody always reads this stream, but an error between the hand-over and the first read must not be uncaught.
    stream.on("error", () => {});
    if (controller.signal.aborted) stream.destroy();
  }

  private connect(): Promise<Dockerode> {
    this.client ??= this.locate().then((address) => {
      this.known = address;
      return load(address);
    });
    this.client.catch(() => {
      this.client = undefined;
    });
    return this.client;
  }

  private unreachable(why: string, cause?: unknown, details: Record<string, unknown> = {}): SwainError {
    return new SwainError(
      "ENGINE_UNREACHABLE",
      `container engine${this.known === "" ? "" : ` at ${this.known}`}: ${why}`,
      { cause, details },
    );
  }

  /** By status code; an engine that did not answer with one is unreachable, as is one behind a failing gateway. */
  private failure(what: string, error: ModemError): SwainError {
    const status = error.statusCode;
    // Of a refused stream the library gives no parsed answer, only a sentence of its own around the message.
    const sentence = (error.message ?? "unknown error").replace(/^\(HTTP code [0-9]+\) [a-z ]+ - /, "").trim();
    const text = typeof error.json?.message === "string" ? error.json.message : sentence;
    if (status === undefined || (status >= 502 && status <= 504)) {
      return this.unreachable(`${what}: ${error.code ?? text}`, error);
    }
    return new SwainError("ENGINE_ERROR", `${what}: ${text}`, {
      cause: error,
      details: { status, ...(typeof error.json?.cause === "string" ? { cause: error.json.cause } : {}) },
    });
  }
}

/**
 * The library describes the options of every request for its debug output, even when nobody wants that: all an agent or a
 * signal refers to, hidden fields included, which is every open socket of the process. Fifty starts took seconds of CPU.
 */
function opaque<T extends object>(value: T): T {
  return Object.defineProperty(value, inspect.custom, { value: () => "…" });
}

async function load(address: string): Promise<Dockerode> {
  const { default: Dockerode } = await import("dockerode");
  const path = socketPath(address);
  // No kept connections: one that the engine closed meanwhile would fail a request that was never sent.
  if (path !== undefined) {
    // `host` must be cleared, or the library takes it from DOCKER_HOST and ignores the socket.
    const options = { socketPath: path, host: undefined, protocol: "http" as const, agent: opaque(new Agent()) };
    return new Dockerode(options);
  }
  if (address === process.env.DOCKER_HOST) return new Dockerode();
  const url = new URL(address);
  return new Dockerode({ host: url.hostname, port: url.port, protocol: url.protocol === "https:" ? "https" : "http" });
}

type DialDone = (error: ModemError | null, data: unknown) => void;

function dial(docker: Dockerode, call: EngineCall, isStream: boolean, signal: AbortSignal, done: DialDone): void {
  const modem = docker.modem as { dial(options: object, done: DialDone): void };
  const query = Object.fromEntries(Object.entries(call.query ?? {}).filter(([, value]) => value !== undefined));
  modem.dial(
    {
      path: `${call.path}?`,
      method: call.method,
      options: { _query: query, _body: call.body ?? {} },
      abortSignal: opaque(signal),
      isStream,
      ...(call.auth === undefined ? {} : { authconfig: call.auth }),
      ...(call.hijack === true ? { hijack: true, openStdin: true } : {}),
      statusCodes: ok,
    },
    done,
  );
}

export interface EngineVersion {
  readonly Version: string;
  readonly Components?: readonly { readonly Name: string }[] | null;
}

const componentOf = (version: EngineVersion): string => version.Components?.[0]?.Name ?? "Engine";

const isPodmanVersion = (version: EngineVersion): boolean => componentOf(version) === "Podman Engine";

/** "Docker Engine 20.10.24", "Podman 4.3.1". */
export function engineName(version: EngineVersion): string {
  const component = componentOf(version);
  const name = isPodmanVersion(version) ? "Podman" : component === "Engine" ? "Docker Engine" : component;
  return `${name} ${version.Version}`;
}
