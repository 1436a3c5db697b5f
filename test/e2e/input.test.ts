// Bad input: every problem at once with its place, exit code 2, and nothing applied.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster, swain } from "../support/cluster.ts";

const good = `apiVersion: swain/v1
kind: Workload
metadata: { name: fine }
spec:
  replicas: 1
  containers:
    - name: main
      sim: {}
`;

const bad = `apiVersion: swain/v1
kind: Workload
metadata: { name: web }
spec:
  replicas: many
  replica: 3
  containers:
    - name: main
      image: app:1
      ports:
        - { name: http, containerPort: 99999 }
    - name: main
      image: app:1
---
apiVersion: swain/v1
kind: Workloda
metadata: { name: other }
spec: {}
`;

describe("bad input", () => {
  let cluster: Cluster;
  const folder = mkdtempSync(join(tmpdir(), "swain-input-"));
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  beforeAll(async () => {
    cluster = await Cluster.up({ runtime: "sim", nodes: 1 });
  });
  afterAll(async () => {
    await cluster?.dispose();
    rmSync(folder, { recursive: true });
  });

  it("is told whole, each problem with file, line, column and value, and nothing is applied", async () => {
    const path = file("bad.yaml", bad);
    const result = await cluster.run("apply", "-f", file("good.yaml", good), "-f", path);
    expect(result.code).toBe(2);
    const text = result.stdout + result.stderr;
    for (const place of [5, 6, 11, 12, 16]) expect(text).toMatch(new RegExp(`bad\\.yaml:${place}:\\d+`));
    expect(text).toContain("many");
    expect(text).toMatch(/replicas/);
    expect(text).toContain("99999");
    expect(text).toContain("Workload");
    expect(JSON.parse(await cluster.ok("get", "workloads", "-A", "-o", "json"))).toEqual({ items: [] });
  });

  it("that is no YAML names the place", async () => {
    const result = await cluster.run("apply", "-f", file("broken.yaml", "kind: [Workload\nmetadata: }"));
    expect(result.code).toBe(2);
    expect(result.stdout + result.stderr).toMatch(/broken\.yaml:\d+:\d+/);
  });

  it.each([
    [["aply", "-f", "x"], /apply/],
    [["get", "pods", "--outptu", "json"], /--output|-o/],
    [["get", "podz"], /pods/],
    [["scale", "workload/fine", "--replicas", "minus"], /replicas/],
  ])("on the command line offers the nearest match: %j", async (args, hint) => {
    const result = await cluster.run(...args);
    expect(result.code).toBe(2);
    expect(result.stdout + result.stderr).toMatch(hint);
  });

  it("for a server that is not there says so and what to do", async () => {
    const result = await swain(["get", "pods", "--server", "nats://127.0.0.1:1"]);
    expect(result.code).toBe(4);
    expect(result.stderr).toContain("NATS_UNREACHABLE");
  });

  it("naming what is not there exits 3", async () => {
    const result = await cluster.run("scale", "workload/nothing", "--replicas", "2");
    expect(result.code).toBe(3);
    expect(result.stderr).toContain("NOT_FOUND");
  });
});
