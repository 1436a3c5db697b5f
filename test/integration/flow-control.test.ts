// Reading more than a server sends without an answer: by those with a role's permissions alone, in both forms of the subjects that
// answers go to.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { permissionsOf, seedFile } from "../../services/bus/embedded/roles.ts";
import type { Role } from "../../services/bus/embedded/roles.ts";
import { ensureStreams } from "../../services/bus/streams.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { connectTo } from "../support/bus.ts";
import { describeServers, newUser, startServer } from "../support/nats.ts";

const names = subjectsOf("test");
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

describeServers("a reader with a role", (binary) => {
  // An older server knows no other form, and no such flag.
  const flags = binary.version.startsWith("2.9.") ? [""] : ["", "feature_flags { js_ack_fc_v2: true }"];

  it.each(flags)("reads five megabytes to their end (%s)", async (config) => {
    const roles: readonly Role[] = ["controller", "proxy-p1"];
    const users = new Map(roles.map((role) => [role, newUser()]));
    const allowed = [...users].map(([role, { nkey }]) => ({ nkey, ...permissionsOf(role, "test") }));
    const server = await startServer(binary, { users: allowed, config });
    cleanups.push(() => server.dispose());
    const folder = mkdtempSync(join(tmpdir(), "swain-flow-"));
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    const as = async (role: Role) => {
      const creds = seedFile(folder, role);
      writeFileSync(creds, users.get(role)?.seed ?? "", { mode: 0o600 });
      const own = role === "controller" ? {} : { inboxPrefix: names.proxy.inbox("p1") };
      const bus = await connectTo(server.url, { creds, ...own });
      cleanups.push(() => bus.close());
      return bus;
    };
    const controller = await as("controller");
    await ensureStreams(controller, "test", { replicas: 1 });
    const bucket = controller.bucket(names.buckets.endpoints);
    for (let at = 0; at < 20; at += 1) await bucket.put(`default.s${at}.0`, "x".repeat(250_000), 0);
    const loaded = await (await as("proxy-p1")).bucket(names.buckets.endpoints).load();
    expect(loaded.size).toBe(20);
  });
});
