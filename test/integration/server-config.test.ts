// `swain server-config`: what the built program writes, read by a nats-server of one's own.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { markOf } from "../../cli/local/processes.ts";
import { reloadServer } from "../../cli/local/reload.ts";
import { readSeed } from "../../services/bus/embedded/keys.ts";
import { startServer } from "../../services/bus/embedded/start.ts";
import type { Bus } from "../../services/bus/port.ts";
import { systemDisk } from "../../services/kernel/node/disk.ts";
import { connectTo } from "../support/bus.ts";
import { swain } from "../support/cluster.ts";
import { describeServer } from "../support/nats.ts";
import { freePort } from "../support/ports.ts";

// A server before 2.10 does not know `sync_interval: always`.
describeServer("current", "a configuration of one's own", (binary) => {
  let folder: string;
  const ends: (() => Promise<void>)[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "swain-config-"));
  });
  afterEach(async () => {
    for (const end of ends.splice(0).toReversed()) await end();
    rmSync(folder, { recursive: true, force: true });
  });

  it("that is written again for one more node lets the earlier ones in as before", async () => {
    const [keys, config, log] = [join(folder, "keys"), join(folder, "nats.conf"), join(folder, "nats.log")];
    const port = String(await freePort());
    const url = `nats://127.0.0.1:${port}`;
    const write = async (...nodes: string[]): Promise<string> => {
      const named = nodes.flatMap((id) => ["--node", id]);
      const files = ["--keys", keys, "--out", config, "--store", join(folder, "store"), "--listen", port];
      const { code, stderr } = await swain(["server-config", ...named, ...files]);
      expect(code, stderr).toBe(0);
      return stderr;
    };
    const agent = async (id: string): Promise<Bus> => {
      const creds = { creds: join(keys, `agent-${id}.nk`), inboxPrefix: `swain.default.node.${id}.inbox` };
      const bus = await connectTo(url, creds);
      ends.push(() => bus.close());
      return bus;
    };
    expect(await write("web2", "web1")).toContain("for the nodes web1, web2,");
    const seed = await readSeed(systemDisk, keys, "controller");
    const pidFile = join(folder, "nats.pid");
    const server = await startServer({ program: binary.path, config, url, log, pidFile, seed });
    ends.push(() => server.stop());
    const early = await agent("web1");

    expect(await write("web10")).toContain("for the nodes web1, web2, web10,");
    await reloadServer(markOf(server.pid)!, log);
    await agent("web10");
    await agent("web2");
    expect(early.state()).toBe("connected");

    rmSync(join(keys, "agent-web2.nk"));
    expect(await write()).toContain("for the nodes web1, web10,");
  });

  it("serves once the store is recovered, however long that takes, which is said", async () => {
    const [keys, config, log] = [join(folder, "keys"), join(folder, "nats.conf"), join(folder, "nats.log")];
    const port = String(await freePort());
    const url = `nats://127.0.0.1:${port}`;
    const files = ["--keys", keys, "--out", config, "--store", join(folder, "store"), "--listen", port];
    expect((await swain(["server-config", ...files])).code).toBe(0);
    // As with a large store on a slow disk, it is half a minute until it listens.
    const program = join(folder, "slow");
    writeFileSync(program, `#!/bin/sh\nsleep 31\nexec ${binary.path} "$@"\n`, { mode: 0o700 });
    const seed = await readSeed(systemDisk, keys, "controller");
    let slow = 0;
    const onSlow = (): void => void (slow += 1);
    const server = await startServer({ program, config, url, log, pidFile: join(folder, "nats.pid"), seed, onSlow });
    ends.push(() => server.stop());
    expect(slow).toBe(1);
  });
});
