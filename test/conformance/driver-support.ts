// What the tests of drivers share: specs, drivers that clean up behind themselves, and waiting for what happens.
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import type { Container } from "../../schemas/generated/types.ts";
import type {
  ContainerInfo,
  ContainerSpec,
  Driver,
  DriverIdentity,
  ExecRun,
  LogOptions,
  TerminalSize,
} from "../../services/agent/runtime/driver.ts";
import { SwainError } from "../../services/kernel/errors.ts";

/** A container without its name. */
export type Program = Omit<Container, "name">;

export interface DriverCapabilities {
  readonly programs: {
    /** Runs until it is asked to end, and then ends with `idleCode`. */
    readonly idle: Program;
    /** Ends by itself with the code, after a moment. */
    exits(code: number): Program;
    /** Ends only when killed. */
    readonly stubborn: Program;
    /** Cannot be started: its command is not there. */
    readonly noCommand: Program;
    /** Answers HTTP requests at its port `http` with the value of SWAIN_POD; absent where nothing listens really. */
    readonly serves?: Program;
    /** Prints `line 1` to `line 3` and then ends; `problem` goes to the error stream. */
    readonly prints?: Program;
    /** Prints a line with one dot more at each run, then `run ends`, and then ends. */
    readonly counts?: Program;
    /** Can run `sh` beside itself; absent where nothing can be run. */
    readonly shells?: Program;
    /** Its image is nowhere. */
    readonly noImage?: Program;
    /** Uses a full core. */
    readonly burns?: Program;
  };
  readonly idleCode: number;
  /** What `idle` and `stubborn` print when they are ready to be asked to end. */
  readonly readyText: string;
  /** Ends a container behind the driver's back with SIGKILL. */
  killOutside(driver: Driver, id: string): Promise<void>;
  /** Breaks and heals the connection to the engine, where there is one. */
  readonly engine?: { lose(): Promise<void>; regain(): Promise<void> };
  /** True when containers outlive the driver: a new instance then finds them. */
  readonly adopts: boolean;
  /** True when the times of output lines are whole seconds: what is to be told apart must be a second apart. */
  readonly wholeSeconds?: boolean;
  /** True when ports are real ones. */
  readonly realPorts: boolean;
  /** False where a container has no address of its own, or the host has no way to it. */
  readonly ownAddresses?: boolean;
  /** False where nothing tells what a container uses. */
  readonly tellsUse?: boolean;
}

export interface DriverFixture {
  /** A driver on the engine (or data folder) that all drivers of the suite share. */
  readonly makeDriver: (identity: () => DriverIdentity | null) => Driver;
  readonly capabilities: DriverCapabilities;
}

export const patience = { timeout: 10_000, interval: 20 };

/** A cluster uid nobody else has. */
export const newCluster = (): string => `t${randomBytes(10).toString("hex")}`;

let pods = 0;

/** A spec with a pod name of its own. */
export function specOf(program: Program, over: Partial<ContainerSpec> = {}): ContainerSpec {
  pods += 1;
  const pod = `shop/web-${pods}`;
  return {
    pod,
    container: { name: "main", ...program },
    env: { SWAIN_POD: pod },
    advertise: "127.0.0.1",
    labels: {},
    ...over,
  };
}

/** Drivers and containers of one test, all gone after it. */
export class Stage {
  private readonly fixture: DriverFixture;
  private readonly drivers: Driver[] = [];

  constructor(fixture: DriverFixture) {
    this.fixture = fixture;
  }

  driver(identity: DriverIdentity = { clusterUid: newCluster(), node: "n1" }): Driver {
    const driver = this.fixture.makeDriver(() => identity);
    this.drivers.push(driver);
    return driver;
  }

  async clear(): Promise<void> {
    const drivers = this.drivers.splice(0);
    for (const driver of drivers) {
      for (const { id } of await driver.list()) await driver.remove(id);
    }
    for (const driver of drivers) await driver.close();
  }
}

/** With output times of whole seconds: waits until another second has begun. */
export async function nextSecond(wholeSeconds: boolean | undefined): Promise<void> {
  if (wholeSeconds !== true) return;
  const second = (): number => Math.floor(Date.now() / 1000);
  const now = second();
  await expect.poll(second, patience).toBeGreaterThan(now);
}

export async function run(driver: Driver, spec: ContainerSpec): Promise<ContainerInfo> {
  return driver.start(await driver.create(spec));
}

/** Starts a program that prints when it is ready to be asked to end, and waits for that. */
export async function runReady(driver: Driver, spec: ContainerSpec, readyText: string): Promise<ContainerInfo> {
  const info = await run(driver, spec);
  await ready(driver, info.id, readyText);
  return info;
}

export async function ready(driver: Driver, id: string, readyText: string): Promise<void> {
  await expect.poll(async () => (await readLogs(driver, id, false, 1)).stdout, patience).toContain(readyText);
}

/** Waits until it ended; says how. */
export async function ended(driver: Driver, id: string): Promise<ContainerInfo> {
  await expect.poll(async () => (await driver.inspect(id))?.state, patience).toBe("exited");
  const info = await driver.inspect(id);
  if (info === null) throw new Error("it is gone");
  return info;
}

export async function codeOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => new Error("it succeeded"),
    (error: unknown) => error,
  );
  if (error instanceof SwainError) return error.code;
  throw error;
}

export async function readLogs(driver: Driver, id: string, follow: boolean, tail?: number) {
  const text = { stdout: "", stderr: "" };
  const signal = AbortSignal.timeout(15_000);
  await driver.logs(id, { follow, signal, ...(tail === undefined ? {} : { tail }) }, async (stream, chunk) => {
    text[stream] += chunk;
  });
  return text;
}

/** Runs a program in a container to its end; `input` goes to it, null gives it none. */
export async function exec(
  driver: Driver,
  id: string,
  command: readonly string[],
  options: { input?: string; tty?: TerminalSize; signal?: AbortSignal; onStart?: (run: ExecRun) => void } = {},
) {
  const pieces = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  const { input, tty = null, signal = AbortSignal.timeout(15_000) } = options;
  const run = await driver.exec(id, { command, tty, stdin: input !== undefined, signal }, async (stream, data) => {
    pieces[stream].push(data);
  });
  options.onStart?.(run);
  if (input !== undefined) {
    await run.write(Buffer.from(input));
    if (tty === null) run.endInput();
  }
  const code = await run.ended;
  const [stdout, stderr] = [pieces.stdout, pieces.stderr].map((all) => Buffer.concat(all).toString());
  return { code, stdout, stderr };
}

/** Each line of the output, with its time. */
export async function readLines(driver: Driver, id: string, options: Partial<LogOptions> = {}) {
  const lines: { stream: string; text: string; time: number }[] = [];
  const signal = AbortSignal.timeout(15_000);
  await driver.logs(id, { follow: false, signal, ...options }, async (stream, chunk, times) => {
    const pieces = chunk.split(/(?<=\n)/);
    expect(times).toHaveLength(pieces.length);
    for (const [index, text] of pieces.entries()) {
      const last = lines.at(-1);
      // A line may come in pieces, as the program wrote it or the engine read it.
      if (last?.stream === stream && !last.text.endsWith("\n")) last.text += text;
      else lines.push({ stream, text, time: times[index] ?? Number.NaN });
    }
  });
  return lines;
}

/** Waits until the address answers; gives the answer. */
export async function fetched(host: string, port: number): Promise<string> {
  await expect
    .poll(
      () =>
        fetch(`http://${host}:${port}/`).then(
          (answer) => answer.ok,
          () => false,
        ),
      patience,
    )
    .toBe(true);
  return (await fetch(`http://${host}:${port}/`)).text();
}

/** A loopback port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Listens on the port unless somebody does, whether or not connections get through; returns the end of it. */
export async function occupied(port: number): Promise<() => Promise<void>> {
  const server = createServer();
  const listens = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
  if (!listens) return async () => {};
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
    });
}

/** A test of what only some drivers have; for the others there is no such test, rather than a skipped one. */
export const promise = (has: unknown): ((title: string, test: () => Promise<void>, timeout?: number) => void) =>
  has === undefined || has === false ? () => {} : (title, test, timeout) => it(title, test, timeout);
