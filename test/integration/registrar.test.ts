// The registrar in this process, with the server that `swain up --listen` runs, whose certificate nears its end meanwhile.
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Launched } from "../../cli/local/launch.ts";
import { localPaths } from "../../cli/local/layout.ts";
import type { LocalPaths } from "../../cli/local/layout.ts";
import { markOf } from "../../cli/local/processes.ts";
import { Registrar } from "../../cli/local/registrar.ts";
import { reloadServer } from "../../cli/local/reload.ts";
import { prepareServer } from "../../cli/local/server.ts";
import type { PreparedServer } from "../../cli/local/server.ts";
import { certificatePaths } from "../../services/bus/embedded/certificates.ts";
import type { Bus, BusMessage } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { connectTo } from "../support/bus.ts";
import { describeServers } from "../support/nats.ts";
import { freePort } from "../support/ports.ts";

const day = 86_400_000;
const patient = { timeout: 20_000 };

describeServers("the registrar", (binary) => {
  const cluster = "c";
  const said: string[] = [];
  let folder: string;
  let paths: LocalPaths;
  let prepared: PreparedServer;
  let server: Launched;
  let registrar: Registrar;
  let bus: Bus;

  beforeEach(async () => {
    said.length = 0;
    folder = mkdtempSync(join(tmpdir(), "swain-registrar-"));
    paths = localPaths(folder);
    const { signal } = new AbortController();
    const say = (line: string): void => void said.push(line);
    // It was started 300 days ago.
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 300 * day });
    prepared = await prepareServer({
      paths,
      cluster,
      roles: ["controller", "registrar"],
      program: binary.path,
      port: await freePort(),
      outside: { listen: "127.0.0.1", hosts: ["127.0.0.1"], tls: true },
      env: process.env,
      say,
      signal,
    });
    server = await prepared.launch(() => {}, signal);
    const mark = markOf(server.pid)!;
    const { url, servers, ca, users, configure, renewCertificate } = prepared;
    const reload = (): Promise<void> => reloadServer(mark, join(paths.log, "nats-server.log"));
    const parts = { paths, cluster, server: url, servers, ca, own: users, configure, renewCertificate, reload };
    registrar = await Registrar.start({ ...parts, say, signal });
    const { ask, inbox } = subjectsOf(cluster).join;
    bus = await connectTo(url, { creds: join(paths.creds, "controller.nk"), inboxPrefix: inbox("t1") });
    // It answers in turn, so its first look is over then.
    await bus.request(ask("t1"), {}, { timeoutMs: 20_000 });
    vi.useRealTimers();
  });
  afterEach(async () => {
    vi.useRealTimers();
    await registrar?.close();
    await bus?.close();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** When the certificate ends that the server shows to who connects now. */
  async function shownEnd(): Promise<number> {
    const { hostname, port } = new URL(prepared.url);
    const socket = connect(Number(port), hostname);
    // The server speaks first, and then TLS.
    await new Promise((resolve, reject) => socket.once("data", resolve).once("error", reject));
    const secure = connectTls({ socket, ca: prepared.ca ?? "", host: hostname });
    try {
      await new Promise((resolve, reject) => secure.once("secureConnect", resolve).once("error", reject));
      return Date.parse(secure.getPeerCertificate().valid_to);
    } finally {
      secure.destroy();
    }
  }

  /** A message of the feed makes it look; else it does so each minute. */
  const look = (): void => bus.publish(subjectsOf(cluster).feed(undefined, "node", "none", "removed"), {});
  const soon = (): Promise<boolean> => shownEnd().then((end) => end < Date.now() + 70 * day);

  test("renews the certificate of the running server months before its end", async () => {
    expect(await soon()).toBe(true);
    const key = readFileSync(certificatePaths(paths.tls).key, "utf8");
    look();
    await expect.poll(soon, patient).toBe(false);
    // One file took the place of the other: no moment is without a certificate, or with another's key.
    expect(readFileSync(certificatePaths(paths.tls).key, "utf8")).toBe(key);
    expect(bus.state()).toBe("connected");
    const later = await connectTo(prepared.url, { creds: join(paths.creds, "controller.nk") });
    await later.close();
    await expect.poll(() => said, patient).toContain("the server's certificate was renewed");
  });

  test("looks again after a flood of requests that left no room for a look", async () => {
    const { api, join } = subjectsOf(cluster);
    const asked: BusMessage[] = [];
    const events = api("_", "event", "list");
    bus.subscribe(events, (message) => asked.push(message));
    look();
    await expect.poll(() => asked.length, patient).toBe(1);
    // It waits for the answer, and all others for it.
    for (let count = 0; count < 150; count += 1) bus.publish(join.ask("t1"), {}, { reply: `${join.inbox("t1")}x` });
    look();
    await expect.poll(() => said.join("\n"), patient).toContain("registrar: BUSY");
    const answer = ({ reply = "" }: BusMessage): void => bus.publish(reply, { items: [] });
    bus.subscribe(events, answer);
    asked.forEach(answer);
    await expect.poll(() => (look(), asked.length), patient).toBeGreaterThan(1);
  });

  test("has the server read a renewed certificate also when it could not be told of it at first", async () => {
    // No file can take the place of a folder.
    renameSync(paths.serverConfig, `${paths.serverConfig}.away`);
    mkdirSync(paths.serverConfig);
    look();
    await expect.poll(() => said.join("\n"), patient).toContain("registrar: DISK_ERROR");
    expect(await soon()).toBe(true);
    rmdirSync(paths.serverConfig);
    look();
    await expect.poll(soon, patient).toBe(false);
  });
});
