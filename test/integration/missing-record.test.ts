// A record in the middle of the log is gone: deleted by hand, or lost with a damaged file of the server.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { openWorld } from "../support/bus.ts";
import type { RealWorld } from "../support/bus.ts";
import { runCli } from "../support/cli.ts";
import { startTestController, TestClient, until } from "../support/controllers.ts";
import type { TestController } from "../support/controllers.ts";
import { workloadManifest } from "../support/core.ts";
import { describeServers } from "../support/nats.ts";

const { stream, event } = subjectsOf("test");
const decoder = new TextDecoder();

describeServers("a log without one of its records", (binary) => {
  let world: RealWorld;
  let client: TestClient;
  let first: TestController;
  let folder: string;

  beforeEach(async () => {
    world = await openWorld(binary);
    folder = mkdtempSync(join(tmpdir(), "swain-missing-"));
    client = new TestClient(await world.connect(), "test");
    first = await startTestController(world, "c1");
    await client.leader();
  });
  afterEach(async () => {
    await first.controller.stop();
    await world.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const swain = (...words: string[]) => runCli([...words, "--server", world.server.url, "--cluster", "test"]);
  const workloads = async (): Promise<string[]> =>
    (await client.list<{ metadata: { name: string } }>("workload")).map(({ metadata }) => metadata.name);

  /** Deletes the first record with that in it. */
  async function lose(text: string): Promise<number> {
    let found = 0;
    await client.bus.log(stream).read(1, ({ sequence, data }) => {
      if (found === 0 && decoder.decode(data).includes(text)) found = sequence;
    });
    expect(found).toBeGreaterThan(0);
    await client.bus.request(`$JS.API.STREAM.MSG.DELETE.${stream}`, { seq: found }, { timeoutMs: 5000 });
    return found;
  }

  it("is led by nobody who must read it, and not backed up, until who leads has written down what it knows", async () => {
    for (const name of ["one", "two", "three"]) await client.apply([workloadManifest(name)]);
    const sequence = await lose('"name":"two"');
    const why = `LOG_INCOMPLETE: record ${sequence} is missing in the log`;
    await expect(startTestController(world, "c2")).rejects.toMatchObject({ code: "LOG_INCOMPLETE" });
    const file = join(folder, "a.backup");
    for (const words of [
      ["backup", file],
      ["state", "verify"],
    ]) {
      const refused = await swain(...words);
      expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(why) });
    }
    expect(existsSync(file)).toBe(false);
    // It goes on by what it has folded.
    await client.apply([workloadManifest("four")]);
    expect(await swain("state", "rebuild")).toMatchObject({ code: 0, stderr: "" });
    await until(
      "a snapshot",
      async () => ((await client.status())["snapshots"] as { verified: unknown[] }).verified.length > 0,
    );
    await first.controller.stop();
    first = await startTestController(world, "c2");
    await client.leader();
    expect((await workloads()).toSorted()).toEqual(["four", "one", "three", "two"]);
    expect(await swain("backup", file)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("from the snapshot of"),
    });
  });

  it("is whole when it was a stray", async () => {
    await client.apply([workloadManifest("one")]);
    await client.bus.request(event("pod", "default", "x", "ready"), { stray: true }, { timeoutMs: 5000 });
    await client.apply([workloadManifest("two")]);
    await lose('"stray"');
    await first.controller.stop();
    first = await startTestController(world, "c2");
    await client.leader();
    expect((await workloads()).toSorted()).toEqual(["one", "two"]);
  });
});
