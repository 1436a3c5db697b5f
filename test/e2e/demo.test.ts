// The README's first command, with and without a container engine.
import { expect, it } from "vitest";
import { swain } from "../support/cluster.ts";
import { describeEngine } from "../support/docker.ts";

const steps = [/process|docker/i, /ready/i, /spread|requests/i, /kill/i, /scal/i, /pod/i];

it("swain demo runs on a machine without a container engine, under 60 s, and leaves nothing", async () => {
  const began = Date.now();
  const { code, stdout, stderr } = await swain(["demo"], { env: { DOCKER_HOST: "unix:///nonexistent/docker.sock" } });
  expect(code, stdout + stderr).toBe(0);
  for (const step of steps) expect(stdout).toMatch(step);
  expect(stdout).toContain("process");
  expect(Date.now() - began).toBeLessThan(60_000);
});

await describeEngine("swain demo on a container engine", (engine) => {
  it("uses it, under 60 s, and leaves nothing", async () => {
    const began = Date.now();
    const { code, stdout, stderr } = await swain(["demo"], { env: { DOCKER_HOST: `unix://${engine.socket}` } });
    expect(code, stdout + stderr).toBe(0);
    for (const step of steps) expect(stdout).toMatch(step);
    expect(stdout).toContain(`runtime docker: ${engine.name} answers`);
    expect(Date.now() - began).toBeLessThan(60_000);
  });
});
