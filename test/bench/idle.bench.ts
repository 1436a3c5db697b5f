// What a cluster costs while nothing happens: memory and CPU of each part, and what JetStream writes.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect, nkeyAuthenticator } from "nats";
import { jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, it } from "vitest";
import { Cluster, until } from "../support/cluster.ts";
import { web } from "../support/manifests.ts";
import { note, record } from "./support/report.ts";

const group = "Idle: one node, three pods as processes";
const idleMs = 30_000;
const settleMs = 5000;
const ticks = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** Milliseconds of CPU since the start, and resident memory in MiB (proc(5)). */
function use(pid: number): { cpuMs: number; memoryMiB: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  const cpuMs = ((Number(fields[11]) + Number(fields[12])) * 1000) / ticks;
  const rss = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return { cpuMs, memoryMiB: Number(rss) / 1024 };
}

describe("an idle cluster", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.up({ runtime: "process", nodes: 1 });
    await cluster.apply([web("idle")], "--wait");
  });
  afterAll(() => cluster?.dispose());

  it("costs little", async () => {
    const seed = Buffer.from(readFileSync(cluster.creds("controller"), "utf8").trim());
    const connection = await connect({ servers: cluster.server, authenticator: nkeyAuthenticator(seed) });
    const manager = await jetstreamManager(connection);
    const written = async (): Promise<{ bytes: number; messages: number }> => {
      let [bytes, messages] = [0, 0];
      for await (const { state } of manager.streams.list()) {
        bytes += state.bytes;
        messages += state.last_seq;
      }
      return { bytes, messages };
    };
    const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
    await pause(settleMs);
    const parts = cluster.children();
    const [before, bytesBefore] = [parts.map(({ pid }) => use(pid)), await written()];
    const began = performance.now();
    await pause(idleMs);
    const seconds = (performance.now() - began) / 1000;
    const after = parts.map(({ pid }) => use(pid));
    let [memory, cpu] = [0, 0];
    for (const [index, { name, kind }] of parts.entries()) {
      const [then, now] = [before[index], after[index]];
      if (then === undefined || now === undefined) continue;
      const percent = (now.cpuMs - then.cpuMs) / 10 / seconds;
      record(group, `${name}: memory`, "MiB", [now.memoryMiB]);
      record(group, `${name}: CPU`, "% of a core", [percent]);
      if (kind !== "controller" && kind !== "agent") continue;
      memory += now.memoryMiB;
      cpu += percent;
    }
    record(group, "controller + agent: memory", "MiB", [memory]);
    record(group, "controller + agent: CPU", "% of a core", [cpu]);
    const bytesAfter = await written();
    record(group, "JetStream, in an hour at this rate", "bytes", [
      ((bytesAfter.bytes - bytesBefore.bytes) * 3600) / seconds,
    ]);
    record(group, "JetStream, in an hour at this rate", "messages", [
      ((bytesAfter.messages - bytesBefore.messages) * 3600) / seconds,
    ]);
    note(group, `over ${Math.round(seconds)} s`);
    await connection.close();
    await until("all still run", async () => cluster.children().length === parts.length);
  });
});
