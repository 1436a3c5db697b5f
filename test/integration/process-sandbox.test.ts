// What a process may do, seen from inside: the program itself says who it is and what it is allowed. As root, for giving
// another user takes root's rights.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, it } from "vitest";
import { openCgroups } from "../../services/agent/runtime/process/cgroups.ts";
import { createProcessDriver } from "../../services/agent/runtime/process/driver.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import { codeOf, ended, exec, readLogs, run, specOf, Stage } from "../conformance/driver-support.ts";
import type { DriverFixture, Program } from "../conformance/driver-support.ts";

const data = mkdtempSync(join(tmpdir(), "swain-sandbox-"));
const cgroups = await openCgroups(systemClock);
const stage = new Stage({
  makeDriver: (identity) =>
    createProcessDriver({ data, identity, clock: systemClock, sockets: systemSockets, log: silent, cgroups }),
  capabilities: {} as DriverFixture["capabilities"],
});
afterEach(() => stage.clear());
afterAll(() => rmSync(data, { recursive: true, force: true }));

const shell = (script: string, more: Partial<Program> = {}): Program => ({
  process: { command: ["/bin/sh", "-c", script], workingDir: "/" },
  ...more,
});

async function said(program: Program): Promise<string> {
  const driver = stage.driver();
  const { id } = await run(driver, specOf(program));
  expect((await ended(driver, id)).exitCode).toBe(0);
  return (await readLogs(driver, id, false)).stdout;
}

const failure = (program: Program): Promise<string> => codeOf(run(stage.driver(), specOf(program)));

it("runs as the user and the groups that are named, by name or number", async () => {
  const who = "id -u; id -g; id -G; ";
  expect(await said(shell(who))).toMatch(/^0\n0\n0/);
  expect(await said(shell(who, { security: { user: "nobody" } }))).toBe("65534\n65534\n65534\n");
  expect(await said(shell(who, { security: { user: "nobody:daemon", groups: ["bin", 4711] } }))).toBe(
    "65534\n1\n1 2 4711\n",
  );
  // Not in /etc/passwd: as in a container, any number will do.
  expect(await said(shell(who, { security: { user: 4242 } }))).toBe("4242\n4242\n4242\n");
  expect(await failure(shell("true", { security: { user: "no-such-user" } }))).toBe("SANDBOX_REFUSED");
  expect(await failure(shell("true", { security: { user: "nobody:no-such-group" } }))).toBe("SANDBOX_REFUSED");
});

it("gains no rights where that is asked for", async () => {
  const bit = "grep NoNewPrivs /proc/self/status";
  expect(await said(shell(bit))).toBe("NoNewPrivs:\t0\n");
  expect(await said(shell(bit, { security: { noNewPrivileges: true } }))).toBe("NoNewPrivs:\t1\n");
});

it("has the limits that are given, and is refused with a reason where the node cannot give them", async () => {
  const ulimits = [
    { name: "nofile" as const, soft: 100, hard: 200 },
    { name: "core" as const, soft: 0 },
    { name: "stack" as const, soft: 4 * 1024 * 1024, hard: -1 },
  ];
  const asked = "ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -Ss; ulimit -Hs";
  expect(await said(shell(asked, { ulimits }))).toBe("100\n200\n0\n4096\nunlimited\n");
  // More open files than the kernel gives anybody.
  const tooMany = { ulimits: [{ name: "nofile" as const, soft: 2 ** 40 }] };
  expect(await failure(shell("true", tooMany))).toBe("SANDBOX_REFUSED");
});

it("programs run beside it are bound in the same way", async () => {
  const driver = stage.driver();
  const bounds = { security: { user: "nobody" }, ulimits: [{ name: "nofile" as const, soft: 77 }] };
  const { id } = await run(driver, specOf(shell("sleep 1000", bounds)));
  expect((await exec(driver, id, ["sh", "-c", "id -u; ulimit -n"])).stdout).toBe("65534\n77\n");
  await driver.stop(id, 2000);
  expect((await driver.inspect(id))?.state).toBe("exited");
});

it("takes variables from files of the node, which the manifest's own win over", async () => {
  const file = join(data, "settings.env");
  const more = join(data, "more.env");
  writeFileSync(file, "# comment\n\nONE=1\nexport TWO=\"two words\"\nTHREE='$x'\n");
  writeFileSync(more, "ONE=one again\n");
  const reads = (envFiles: string[]): Program => ({
    process: { command: ["/bin/sh", "-c", 'echo "$ONE|$TWO|$THREE|$OWN"'], envFiles },
    env: [
      { name: "OWN", value: "own" },
      { name: "THREE", value: "3" },
    ],
  });
  expect(await said(reads([file, more, `-${join(data, "not-there.env")}`]))).toBe("one again|two words|3|own\n");
  expect(await failure(reads([join(data, "not-there.env")]))).toBe("ENV_FILE_FAILED");
  writeFileSync(more, "a secret line\n");
  const wrong = await run(stage.driver(), specOf(reads([more]))).catch(String);
  expect(wrong).toContain("more.env:1 is not NAME=value");
  expect(wrong).not.toContain("secret");
  writeFileSync(more, "ONE=1\nTWO=secret\0word\n");
  expect(await failure(reads([more]))).toBe("ENV_FILE_FAILED");
  const bytes = await run(stage.driver(), specOf(reads([more]))).catch(String);
  expect(bytes).toContain("more.env:2 holds a NUL");
  expect(bytes).not.toContain("secret");
});

it("no variable or argument is told where a program could not be started", async () => {
  const driver = stage.driver();
  const value = "secret\0word";
  const failed = await run(driver, specOf(shell("true", { env: [{ name: "ONE", value }] }))).catch(String);
  expect(failed).toContain("ERR_INVALID_ARG_VALUE");
  const { id } = await run(driver, specOf(shell("sleep 1000")));
  const refused = await exec(driver, id, ["echo", value]).catch(String);
  expect(refused).toContain("ERR_INVALID_ARG_VALUE");
  for (const error of [failed, refused]) expect(error).not.toContain("secret");
});

it("what a process cannot have is refused, each field by name", async () => {
  const refused: Partial<Program> = {
    security: { readOnlyRoot: true, privileged: true, seccomp: "default", capabilities: { drop: ["ALL"] } },
    tmpfs: [{ mountPath: "/tmp" }],
    devices: [{ hostPath: "/dev/null" }],
    gpus: "all",
    shmSize: "1Mi",
    resources: { cpuSet: "0" },
  };
  const message = await run(stage.driver(), specOf(shell("true", refused))).catch(String);
  for (const field of [
    ...["capabilities", "seccomp", "readOnlyRoot", "privileged"].map((name) => `security.${name}`),
    "resources.cpuSet",
    "tmpfs",
    "devices",
    "gpus",
    "shmSize",
  ]) {
    expect(message).toContain(field);
  }
  expect(await failure(shell("true", refused))).toBe("FIELD_UNSUPPORTED");
});
