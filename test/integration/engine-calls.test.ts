// What one call of an engine's API costs while many others are open.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Engine } from "../../services/agent/runtime/docker/engine.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";

it("a call costs about the same, however many others are open", async () => {
  const folder = mkdtempSync(join(tmpdir(), "swain-engine-calls-"));
  const path = join(folder, "engine.sock");
  const server = createServer((request, response) => {
    if (request.url?.startsWith("/open")) response.write("{}\n");
    else response.end("{}");
  });
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  const engine = new Engine(systemClock, () => Promise.resolve(`unix://${path}`));
  const ask = { what: "ask", method: "GET", path: "/quick", timeout: 10_000 } as const;
  /** Milliseconds of this process's CPU for some calls, the server's part included. */
  const cost = async (): Promise<number> => {
    const before = process.cpuUsage();
    for (let call = 0; call < 40; call++) await engine.ask(ask);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
  try {
    await cost();
    const alone = await cost();
    const open = await Promise.all(
      Array.from({ length: 100 }, () => engine.stream({ ...ask, what: "open", path: "/open" })),
    );
    const among = await cost();
    for (const stream of open) stream.destroy();
    console.log(`40 calls took ${alone.toFixed(0)} ms of CPU alone, ${among.toFixed(0)} ms beside 100 open ones`);
    // The library once described every open socket for each call: a hundred times as much.
    expect(among).toBeLessThan(10 * alone + 100);
  } finally {
    engine.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  }
});
