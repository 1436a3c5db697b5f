// One trace from a command of the CLI over the controller to the engine of a node, with an SDK loaded from outside; and nothing
// at all without one.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { traced, tracedHeaders } from "../../services/kernel/trace.ts";
import { connectTo } from "../support/bus.ts";
import { root, swain, until } from "../support/cluster.ts";
import { web } from "../support/manifests.ts";
import { anyServer, startServer } from "../support/nats.ts";
import type { TestServer } from "../support/nats.ts";
import { PartProcess } from "../support/part.ts";

interface SeenSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId?: string;
  readonly error: boolean;
}

let folder: string;
let server: TestServer;
let env: NodeJS.ProcessEnv;
const parts: PartProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "swain-trace-"));
  server = await startServer(anyServer());
  env = {
    NODE_OPTIONS: `--import ${root}/test/support/tracing-sdk.mjs`,
    SWAIN_TEST_SPANS: join(folder, "spans"),
    SWAIN_SERVER: server.url,
  };
  writeFileSync(join(folder, "spans"), "");
  parts.push(await PartProcess.start(["controller", "--id", "c1"], env));
  const data = join(folder, "agent");
  parts.push(
    await PartProcess.start(["agent", "--id", "n1", "--runtime", "process", "--data", data, "--stop-pods"], env),
  );
  // What a node is given while it comes in, it may pull by itself, which belongs to nobody's trace.
  await apply("first");
}, 120_000);
afterAll(async () => {
  for (const part of parts.toReversed()) await part.stop();
  await server?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** Resolves when its pod is ready. */
async function apply(name: string): Promise<void> {
  writeFileSync(join(folder, `${name}.yaml`), JSON.stringify(web(name, { replicas: 1 })));
  const applied = await swain(["apply", "-f", join(folder, `${name}.yaml`), "--wait"], { env });
  expect(applied.code, applied.stderr).toBe(0);
}

const spans = (): SeenSpan[] =>
  readFileSync(join(folder, "spans"), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as SeenSpan);

it("an apply, what the controller decides, what it commands, and what the engine does share one trace", async () => {
  const bus = await connectTo(server.url);
  const headers: (string | undefined)[] = [];
  bus.subscribe(subjectsOf("default").feedAll, (message) => {
    if (message.subject.endsWith(".assigned")) headers.push(message.header("traceparent"));
  });
  await bus.flush(1000);
  // A name of its own, so that a second try does not find the pod there already.
  await apply(`web-${Date.now()}`);
  const root = spans().findLast(({ name }) => name === "swain manifest.apply");
  const mine = (): SeenSpan[] => spans().filter(({ traceId }) => traceId === root?.traceId);
  await until("the engine's start is told", async () => mine().some(({ name }) => name === "engine start"));
  const names = mine().map(({ name }) => name);
  for (const name of ["api manifest.apply", "append", "command assign", "engine create"]) expect(names).toContain(name);
  // Each but the first hangs on another of the same trace.
  const ids = new Set(mine().map(({ spanId }) => spanId));
  expect(mine().filter(({ parentId }) => parentId === undefined)).toEqual([root]);
  expect(mine().filter(({ parentId }) => parentId !== undefined && !ids.has(parentId))).toEqual([]);
  expect(headers.some((header) => header?.includes(root?.traceId ?? "none"))).toBe(true);
  await bus.close();
});

it("a refused request is a failed span, and beats and reports begin no traces", async () => {
  const refused = await swain(["scale", "workload/nothing", "--replicas", "2"], { env });
  expect(refused.code).toBe(3);
  const failed = spans().filter(({ name, error }) => name === "api workload.scale" && error);
  expect(failed).toHaveLength(1);
  const roots = spans().filter(({ parentId }) => parentId === undefined);
  expect(new Set(roots.map(({ name }) => name.split(" ")[0]))).toEqual(new Set(["swain", "api"]));
});

it("without an SDK the API is not even loaded", async () => {
  expect(tracedHeaders(undefined, 0)).toBeUndefined();
  const plain = { a: "b" };
  expect(tracedHeaders(plain, 0)).toBe(plain);
  expect(await traced("x", () => 7)).toBe(7);
});
