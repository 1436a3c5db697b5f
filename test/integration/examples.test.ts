// What the examples print, and the programs of examples/integrations against a server with an authority of its own, as `swain up --listen` makes one. What
// they do for a whole cluster is test/e2e/integrations.test.ts; here a leader is played.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AckPolicy, jetstreamManager } from "@nats-io/jetstream";
import { connect, nkeyAuthenticator } from "nats";
import type { NatsConnection } from "nats";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ensureCertificates } from "../../services/bus/embedded/certificates.ts";
import { systemDisk } from "../../services/kernel/node/disk.ts";
import { root } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { get } from "../support/http.ts";
import { Watcher } from "../support/nats-cli.ts";
import { anyServer, newUser, startServer } from "../support/nats.ts";
import type { TestServer } from "../support/nats.ts";

let folder: string;
let server: TestServer;
let bus: NatsConnection;
let url: string;
const user = newUser();
const subjects: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "swain-examples-"));
  const { paths, ca } = await ensureCertificates(systemDisk, join(folder, "tls"), {
    cluster: "default",
    hosts: ["127.0.0.1"],
    now: Date.now(),
  });
  const [cert, key] = [paths.certificate, paths.key].map((path) => JSON.stringify(path));
  server = await startServer(anyServer(), { users: [user], config: `tls { cert_file: ${cert}, key_file: ${key} }` });
  url = server.url.replace("nats:", "tls:");
  writeFileSync(join(folder, "operator.nk"), user.seed);
  writeFileSync(join(folder, "ca.pem"), ca);
  bus = await connect({
    servers: url,
    tls: { ca },
    authenticator: nkeyAuthenticator(new TextEncoder().encode(user.seed)),
  });
  bus.subscribe("swain.default.api.>", {
    callback: (_error, message) => {
      subjects.push(message.subject);
      message.respond(JSON.stringify({ items: [{ spec: { replicas: 3 } }] }));
    },
  });
});

afterAll(async () => {
  await bus?.close();
  await server?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs it until it has asked for that; fails with what it printed. */
async function asks(verb: string, example: string, more: Record<string, string>): Promise<void> {
  const env = { ...process.env, SWAIN_SERVER: url, ...more };
  const program = new Watcher(process.execPath, [join(root, "examples/integrations", example)], env);
  try {
    await expect
      .poll(() => subjects.some((subject) => subject.endsWith(verb)) || program.output, { timeout: 15_000 })
      .toBe(true);
  } finally {
    await program.stop("SIGKILL");
  }
}

test("hello says that it listens and what it was asked, so that its logs show something", async () => {
  const port = await freePort();
  const env = { ...process.env, SWAIN_POD: "hello-1", SWAIN_PORT_HTTP: String(port) };
  const hello = new Watcher(process.execPath, [join(root, "examples/hello/server.mjs")], env);
  try {
    await expect.poll(() => hello.output, { timeout: 15_000 }).toBe("hello-1 listens\n");
    expect(await get(port)).toBe("hello from hello-1");
    await expect.poll(() => hello.output).toContain("GET / answered\n");
  } finally {
    await hello.stop("SIGKILL");
  }
});

test("an external endpoint finds the authority beside its credentials", async () => {
  await asks("endpoint.register", "external-endpoint.mjs", {
    SWAIN_CREDS: join(folder, "operator.nk"),
    SERVICE: "legacy",
  });
});

test("a scaler takes the authority that SWAIN_CA names", async () => {
  const elsewhere = join(folder, "elsewhere");
  await systemDisk.writeAtomic(join(elsewhere, "operator.nk"), user.seed);
  await jobs();
  await asks("workload.scale", "scale-on-queue.mjs", {
    SWAIN_CREDS: join(elsewhere, "operator.nk"),
    SWAIN_CA: join(folder, "ca.pem"),
    QUEUE_STREAM: "JOBS",
    QUEUE_CONSUMER: "workers",
    WORKLOAD: "worker",
  });
});

/** An empty queue, for which one worker of three is enough. */
async function jobs(): Promise<void> {
  const manager = await jetstreamManager(bus);
  await manager.streams.add({ name: "JOBS", subjects: ["jobs"] });
  await manager.consumers.add("JOBS", { durable_name: "workers", ack_policy: AckPolicy.Explicit });
}
