import { afterEach, beforeEach, expect, it } from "vitest";
import type { ExecOutput, ExecRequest } from "../../schemas/generated/types.ts";
import { ExecSessions } from "../../services/agent/exec.ts";
import type { Pods } from "../../services/agent/pods.ts";
import type { ExecOptions, ExecRun, OnExecOutput } from "../../services/agent/runtime/driver.ts";
import { limits } from "../../services/bus/limits.ts";
import type { Bus, BusMessage } from "../../services/bus/port.ts";
import type { Logger } from "../../services/kernel/log.ts";
import { silent } from "../../services/kernel/log.ts";
import { codeOf } from "../support/bus-world.ts";
import { containerOf, ManualClock, podNamed, settle } from "../support/agent.ts";

/** A program whose every move the test makes. */
interface Scripted {
  readonly options: ExecOptions;
  readonly onOutput: OnExecOutput;
  readonly read: string[];
  /** Lets the write under way through. */
  takes: () => void;
  ends: (code: number) => void;
}

let clock: ManualClock;
let sessions: ExecSessions;
let heard: Map<string, (message: BusMessage) => void>;
let out: { subject: string; value: ExecOutput }[];
let programs: Scripted[];
let lines: { message: string; fields: unknown }[];

const bus = {
  subscribe(subject: string, handler: (message: BusMessage) => void) {
    heard.set(subject, handler);
    return () => void heard.delete(subject);
  },
  publish: (subject: string, value: unknown) => void out.push({ subject, value: value as ExecOutput }),
  flush: () => Promise.resolve(),
} as unknown as Bus;

const pods = {
  runningContainer: (pod: string) => ({ pod, container: containerOf(podNamed("web-1"), "web") }),
  driver: {
    exec(_id: string, options: ExecOptions, onOutput: OnExecOutput): Promise<ExecRun> {
      const read: string[] = [];
      let ends: (code: number) => void = () => {};
      const ended = new Promise<number>((resolve, reject) => {
        ends = resolve;
        options.signal.addEventListener("abort", () => reject(options.signal.reason as Error));
      });
      const program: Scripted = { options, onOutput, read, takes: () => {}, ends };
      programs.push(program);
      return Promise.resolve({
        write: (data) =>
          new Promise<void>((resolve) => {
            read.push(Buffer.from(data).toString());
            program.takes = resolve;
          }),
        endInput: () => void read.push("end"),
        resize: async ({ columns, rows }) => void read.push(`${columns}x${rows}`),
        ended,
      });
    },
  },
} as unknown as Pods;

const noting: Logger = {
  ...silent,
  info: (message, fields) => void lines.push({ message, fields }),
  with: (fields) => ({ ...noting, info: (message, more) => noting.info(message, { ...fields, ...more }) }),
};

const open = (session: string, more: Partial<ExecRequest> = {}) =>
  sessions.open({ session, namespace: "default", name: "web-1", command: ["sh", "-c", "secret"], ...more }, pods, bus);
const send = (session: string, value: object): void =>
  heard.get(`in.${session}`)?.({ json: () => value } as unknown as BusMessage);
const typed = (session: string, sequence: number, text: string): void =>
  send(session, { sequence, data: Buffer.from(text).toString("base64") });
const last = () => out.at(-1)?.value;

beforeEach(() => {
  clock = new ManualClock();
  heard = new Map();
  out = [];
  programs = [];
  lines = [];
  sessions = new ExecSessions(clock, noting, { output: (id) => `out.${id}`, input: (id) => `in.${id}` });
});
afterEach(() => sessions.close());

it("output goes as far as the credit reaches, and on with more of it", async () => {
  await open("session-1", { credit: 2 });
  const written = [1, 2, 3].map(
    (n) => programs[0]?.onOutput("stdout", Buffer.from(`${n}`)) ?? Promise.reject(new Error("no program")),
  );
  await settle();
  expect(out.map(({ value }) => value.sequence)).toEqual([1, 2]);
  send("session-1", { credit: 1 });
  await Promise.all(written);
  expect(last()).toEqual({ sequence: 3, stream: "stdout", data: Buffer.from("3").toString("base64") });
  programs[0]?.ends(4);
  await settle();
  expect(last()).toEqual({ sequence: 4, end: true, exitCode: 4 });
  expect(heard.size).toBe(0);
  expect(clock.pending).toBe(0);
});

it("both streams may wait for credit: each goes on with more of it, and neither is left waiting at the end", async () => {
  await open("session-1", { credit: 1 });
  const write = (stream: "stdout" | "stderr") =>
    programs[0]?.onOutput(stream, Buffer.from(stream)) ?? Promise.reject(new Error("no program"));
  const first = [write("stdout"), write("stdout"), write("stderr")];
  await settle();
  send("session-1", { credit: 2 });
  await Promise.all(first);
  expect(out.map(({ value }) => value.stream)).toEqual(["stdout", "stdout", "stderr"]);
  const second = Promise.allSettled([write("stdout"), write("stderr")]);
  await settle();
  send("session-1", { close: true });
  expect((await second).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});

it("input is handed over in order, each piece told as taken, and changes of size between", async () => {
  await open("session-1");
  typed("session-1", 1, "a");
  send("session-1", { columns: 10, rows: 5 });
  typed("session-1", 2, "b");
  typed("session-1", 2, "again");
  send("session-1", { sequence: 3, eof: true });
  await settle();
  expect(programs[0]?.read).toEqual(["a"]);
  expect(out).toEqual([]);
  programs[0]?.takes();
  await settle();
  expect(last()).toEqual({ sequence: 1, taken: 1 });
  expect(programs[0]?.read).toEqual(["a", "10x5", "b"]);
  programs[0]?.takes();
  await settle();
  expect(programs[0]?.read).toEqual(["a", "10x5", "b", "end"]);
  expect(out.map(({ value }) => value.taken)).toEqual([1, 1, 1]);
});

it.each([
  ["lost input", (id: string) => typed(id, 2, "b"), "INVALID_REQUEST"],
  ["too much input", (id: string) => Array.from({ length: 33 }, (_, n) => typed(id, n + 1, "x")), "INVALID_REQUEST"],
  ["a client that leaves", (id: string) => send(id, { close: true }), "STOPPED"],
])("%s ends the program", async (_, what, code) => {
  await open("session-1");
  what("session-1");
  await settle();
  expect(programs[0]?.options.signal.aborted).toBe(true);
  expect(last()).toMatchObject({ end: true, code });
});

it("a client that falls silent loses its program; one that shows a sign of life keeps it", async () => {
  await open("session-1");
  for (let sign = 0; sign < 5; sign += 1) {
    await clock.advance(29_000);
    send("session-1", {});
  }
  expect(programs[0]?.options.signal.aborted).toBe(false);
  await clock.advance(30_000);
  expect(programs[0]?.options.signal.aborted).toBe(true);
  expect(last()).toMatchObject({ end: true, code: "TIMEOUT" });
});

it("a client that had no answer asks again, and its program is run once, also when it has ended", async () => {
  const both = [open("session-1"), open("session-1")];
  await Promise.all(both);
  await open("session-1");
  expect(programs).toHaveLength(1);
  programs[0]?.ends(4);
  await settle();
  // As long as a client may ask.
  await clock.advance(limits.clientRetryMs);
  await open("session-1");
  expect(programs).toHaveLength(1);
  expect(out.map(({ value }) => value)).toEqual([{ sequence: 1, end: true, exitCode: 4 }]);
  expect(clock.pending).toBe(0);
});

it("a session that was refused may be asked for again", async () => {
  for (let n = 0; n < 20; n += 1) await open(`session-${n}`);
  expect(await codeOf(open("session-20"))).toBe("BUSY");
  programs[0]?.ends(0);
  await settle();
  await open("session-20");
  expect(programs).toHaveLength(21);
});

it("sessions are bounded; the end of the agent ends them all", async () => {
  for (let n = 0; n < 20; n += 1) await open(`session-${n}`);
  expect(await codeOf(open("session-20"))).toBe("BUSY");
  programs[3]?.ends(0);
  await settle();
  await open("session-21");
  sessions.close();
  await settle();
  expect(programs.every(({ options }, n) => n === 3 || options.signal.aborted)).toBe(true);
  expect(heard.size).toBe(0);
});

it("who ran what where is a line of the log, without arguments", async () => {
  await open("session-1", { tty: true, columns: 100, rows: 30 });
  programs[0]?.ends(0);
  await settle();
  expect(programs[0]?.options.tty).toEqual({ columns: 100, rows: 30 });
  const on = { pod: "default/web-1", container: "web", session: "session-1", program: "sh" };
  expect(lines).toEqual([
    { message: "a program was started in a pod", fields: { ...on, tty: true } },
    { message: "a program in a pod ended", fields: { ...on, exitCode: 0 } },
  ]);
});
