import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { processLogger } from "../../services/kernel/node/log.ts";

let written: string[];

beforeEach(() => {
  written = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

test("every event is one line with its fields, also one with line breaks in it", () => {
  const log = processLogger({ level: "info", format: "pretty" }).with({ node: "n1" });
  log.info("first\nsecond", { path: "/a b", count: 2, absent: undefined });
  expect(written).toHaveLength(1);
  expect(written[0]).toMatch(/^\S+Z info {2}first second node=n1 path="\/a b" count=2\n$/);
});

test("repeated events are not held back", () => {
  const log = processLogger({ level: "info" });
  for (let n = 0; n < 20; n += 1) log.error("same");
  expect(written).toHaveLength(20);
});

test("SWAIN_LOG says the least that is written; info is the default", () => {
  const write = (): number => {
    written.length = 0;
    const log = processLogger();
    log.debug("d");
    log.info("i");
    log.warn("w");
    log.error("e");
    return written.length;
  };
  expect(write()).toBe(3);
  vi.stubEnv("SWAIN_LOG", "debug");
  expect(write()).toBe(4);
  vi.stubEnv("SWAIN_LOG", "error");
  expect(write()).toBe(1);
  vi.stubEnv("SWAIN_LOG", "nonsense");
  expect(write()).toBe(3);
});

test("as JSON it is one object per line", () => {
  processLogger({ level: "info", format: "json" }).warn("full", { code: "LOG_FULL" });
  expect(JSON.parse(written.join(""))).toMatchObject({ level: "warn", message: "full", code: "LOG_FULL" });
});

test("the message of an error stands beside what happened, not in its place", () => {
  processLogger({ level: "info", format: "json" }).warn("the log cannot be led", {
    code: "TIMEOUT",
    message: "no answer",
  });
  const line = { message: "the log cannot be led", code: "TIMEOUT", error: "no answer" };
  expect(JSON.parse(written.join(""))).toMatchObject(line);
});

test("away from a terminal it is JSON, unless SWAIN_LOG_FORMAT or the option says otherwise", () => {
  const isJson = (log = processLogger()): boolean => {
    written.length = 0;
    log.info("hello");
    return written[0]?.startsWith("{") === true;
  };
  const terminal = process.stderr.isTTY;
  process.stderr.isTTY = false;
  expect(isJson()).toBe(true);
  process.stderr.isTTY = true;
  expect(isJson()).toBe(false);
  process.stderr.isTTY = terminal;
  vi.stubEnv("SWAIN_LOG_FORMAT", "json");
  expect(isJson()).toBe(true);
  expect(isJson(processLogger({ format: "pretty" }))).toBe(false);
});

test.each(["json", "pretty"] as const)("a secret stays out of a %s line, wherever it comes from", (format) => {
  const seed = `SUA${"B".repeat(55)}`;
  const log = processLogger({ format });
  log.error(`cannot reach nats://admin:hunter2@10.0.0.1:4222 with ${seed}`, { server: "tls://token@host:4222", seed });
  expect(written.join("")).not.toMatch(/hunter2|token@|SUAB/);
  expect(written.join("")).toContain("nats://***@10.0.0.1:4222");
});
