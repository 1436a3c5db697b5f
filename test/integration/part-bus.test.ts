// What an agent and a proxy say on their terminal when the bus refuses them or is not there, as the built programs.
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { until } from "../support/cluster.ts";
import { anyServer, newUser, startServer } from "../support/nats.ts";
import type { TestServer } from "../support/nats.ts";
import { PartProcess } from "../support/part.ts";
import { freePort } from "../support/ports.ts";

let folder: string;
let server: TestServer | undefined;
let part: PartProcess | undefined;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "swain-part-bus-"));
});
afterEach(async () => {
  await part?.stop();
  await server?.dispose();
  [part, server] = [undefined, undefined];
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const plain = (): string => (part?.stderr ?? "").replaceAll(/^\{.*\}$/gm, "");
const said = (text: string): Promise<unknown> => until(`it says ${text}`, async () => plain().includes(text));
const times = (text: string): number => plain().split(text).length - 1;

describe.each([
  ["agent", ["--runtime", "process"], "pods of this node are looked after meanwhile"],
  ["proxy", ["--all"], "what is known of services is served meanwhile"],
])("%s", (name, options, meanwhile) => {
  const launch = (id: string, ...more: string[]): Promise<PartProcess> =>
    PartProcess.start([name, "--id", id, "--data", join(folder, `${name}-${id}`), ...options, ...more]);

  it("says that it is refused, with the cure, and when it is not any more", async () => {
    const [known, other] = [newUser(), newUser()];
    server = await startServer(anyServer(), { users: [{ nkey: known.nkey }] });
    const creds = join(folder, `${name}.nk`);
    writeFileSync(creds, other.seed, { mode: 0o600 });
    part = await launch("refused", "--server", server.url, "--creds", creds);
    await said(meanwhile);
    expect(plain()).toMatch(/^error: NATS_DENIED: .* refused the user\n {2}Use credentials .*--creds/m);
    expect(plain()).not.toContain("the bus can be used now");
    writeFileSync(creds, known.seed, { mode: 0o600 });
    await said("the bus can be used now");
    expect(times("NATS_DENIED")).toBe(1);
  });

  it("says that no server answers, and when one does", async () => {
    server = await startServer(anyServer());
    await server.stop();
    part = await launch("alone", "--server", server.url);
    await said(meanwhile);
    expect(plain()).toMatch(/^error: NATS_UNREACHABLE: .*\n {2}.*--server/m);
    await server.start();
    await said("the bus can be used now");
    expect(times("NATS_UNREACHABLE")).toBe(1);
  });

  it("says nothing of it when all is well", async () => {
    server = await startServer(anyServer());
    part = await launch("well", "--server", server.url, "--http", "0");
    await connected(part.http);
    expect(plain()).not.toMatch(/error|bus/);
  });

  it.each(["to a full disk", "to a reader that left"])("goes on when its lines go %s", async (where) => {
    const port = await freePort();
    server = await startServer(anyServer());
    await server.stop();
    const args = [name, "--id", "unheard", "--data", join(folder, `${name}-unheard`), ...options];
    const full = where === "to a full disk" ? openSync("/dev/full", "w") : undefined;
    part = PartProcess.launch([...args, "--server", server.url, "--http", String(port)], {}, full);
    if (full !== undefined) closeSync(full);
    part.child.stdout?.destroy();
    part.child.stderr?.destroy();
    await until("it runs", async () => (await fetch(`http://127.0.0.1:${port}/health`)).ok, 15_000);
    await server.start();
    await connected(`http://127.0.0.1:${port}`);
    await part.stop();
    expect(part.child.exitCode).toBe(0);
  });
});

async function connected(http: string): Promise<void> {
  await until("it is connected", async () => {
    const answer = await fetch(`${http}/metrics`);
    return /^swain_.*_connected(\{.*\})? 1$/m.test(await answer.text());
  });
}
