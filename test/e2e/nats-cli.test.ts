// What the README says can be seen and done with the plain `nats` CLI, done with it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CloudEvent } from "cloudevents";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Accepted, PodObject } from "../../schemas/generated/types.ts";
import { feed as isFeed } from "../../schemas/generated/messages.js";
import { Cluster, swain, until } from "../support/cluster.ts";
import { web } from "../support/manifests.ts";
import { describeNatsCli, nats, natsEnv, Watcher } from "../support/nats-cli.ts";
import { findServers } from "../support/nats.ts";

const { old, current } = findServers();
const servers = [old, current].filter((binary) => binary !== undefined);

describeNatsCli("the nats CLI", ["script"], (path) => {
  describe.each(servers.map((binary) => ({ version: binary.version, path: binary.path })))(
    "on nats-server $version",
    (server) => {
      let cluster: Cluster;
      let config: string;
      const run = (...args: string[]): Promise<string> => nats(path, config, args);
      const watch = (...args: string[]): Watcher =>
        new Watcher(path, ["--context", "swain-default", ...args], natsEnv(path, config));

      beforeAll(async () => {
        config = mkdtempSync(join(tmpdir(), "swain-nats-cli-"));
        cluster = await Cluster.up({ runtime: "process", nodes: 2, natsServer: server });
        const saved = await swain(["nats-context", "--save", "--data", cluster.data], {
          env: { XDG_CONFIG_HOME: config },
        });
        expect(saved.code, saved.stderr).toBe(0);
        const applied = await cluster.apply([web("hello")], "--wait");
        expect(applied.code, applied.stdout + applied.stderr).toBe(0);
      });
      afterAll(async () => {
        await cluster?.dispose();
        rmSync(config, { recursive: true, force: true });
      });

      it("hears of a failed pod on the feed, as a CloudEvent", async () => {
        const seen = watch("sub", "--raw", "swain.default.feed.*.pod.*.failed");
        try {
          // The subscription stands when a first failure is heard: one that nobody heard is asked for again.
          let tries = 0;
          const event = await until(
            "a failed pod is told",
            async () => {
              if (seen.output.includes("\n")) return JSON.parse(seen.output.split("\n")[0] ?? "") as unknown;
              tries += 1;
              const broken = web(`broken-${tries}`, { replicas: 1, restartPolicy: "Never" }, failing);
              expect((await cluster.apply([broken])).code).toBe(0);
              await new Promise((resolve) => setTimeout(resolve, 500));
            },
            30_000,
          );
          expect(isFeed(event)).toBe(true);
          // The SDK of the CloudEvents project has the last word on what is one.
          const cloud = new CloudEvent(event as ConstructorParameters<typeof CloudEvent>[0]);
          expect(cloud.validate()).toBe(true);
          expect(cloud).toMatchObject({ type: "swain.pod.failed", source: "swain/default", specversion: "1.0" });
          expect(cloud.data).toMatchObject({ kind: "pod", verb: "failed", observed: { exitCode: 3 } });
        } finally {
          await seen.stop();
        }
      });

      it("shows the log", async () => {
        expect(await run("stream", "ls")).toContain("SWAIN_default_EVENTS");
        // The viewer wants a terminal; a page this large holds the whole log, so that it asks nothing.
        const command = `'${path}' --context swain-default stream view SWAIN_default_EVENTS 1000`;
        const view = new Watcher("script", ["-qec", command, "/dev/null"], natsEnv(path, config));
        try {
          await until("it shows the last event", async () => view.output.includes(".hello-"));
          expect(view.output).toContain('"cause":"election"');
          expect(view.output).toContain("swain.default.event.");
        } finally {
          await view.stop("SIGKILL");
        }
      });

      it("lists, gets and watches the buckets and shows what was applied before", async () => {
        for (const bucket of ["desired", "workloads", "nodes", "pods", "endpoints"]) {
          expect(await run("kv", "ls")).toContain(`swain_default_${bucket}`);
        }
        expect((await run("kv", "ls", "swain_default_nodes")).trim().split("\n").sort()).toEqual(["node-1", "node-2"]);
        const [key = ""] = (await run("kv", "ls", "swain_default_pods")).split("\n");
        const pod = JSON.parse(await run("kv", "get", "swain_default_pods", key, "--raw")) as PodObject;
        expect(pod).toMatchObject({ kind: "Pod", metadata: { namespace: "default" } });
        const seen = watch("kv", "watch", "swain_default_workloads");
        try {
          await until("it shows what is there", async () => seen.output.includes("default.hello"));
          await cluster.ok("scale", "workload/hello", "--replicas", "4", "--wait");
          await until("it shows the change", async () => seen.output.includes('"replicas":4'));
        } finally {
          await seen.stop();
        }
        const history = await run("kv", "history", "swain_default_desired", "workload.default.hello");
        expect(history.split("\n").filter((line) => line.includes("PUT")).length).toBeGreaterThan(1);
      });

      it("finds the leader as a service", async () => {
        expect(await run("micro", "ls")).toContain("swain-default");
        expect(await run("micro", "ping")).toMatch(/swain-default\s+controller-1/);
        expect(await run("micro", "info", "swain-default")).toContain("swain.default.api.*.workload.scale");
        expect(await run("micro", "stats", "swain-default")).toMatch(/controller-1|workload-scale/);
      });

      it("scales a workload, once per operation", async () => {
        const scale = (operation: string, replicas: number): Promise<Accepted> =>
          run(
            "req",
            "--raw",
            "swain.default.api.default.workload.scale",
            JSON.stringify({ operation, name: "hello", replicas }),
          ).then((text) => JSON.parse(text) as Accepted);
        const first = await scale("my-first-op", 2);
        expect(first.results).toEqual([{ kind: "Workload", namespace: "default", name: "hello", action: "scaled" }]);
        await cluster.ok("scale", "workload/hello", "--replicas", "3");
        expect((await scale("my-first-op", 2)).sequence).toBe(first.sequence);
        expect((await cluster.workload("hello")).spec.replicas).toBe(3);
        await expect(scale("an-operation", -1)).resolves.toMatchObject({ error: { code: "INVALID_REQUEST" } });
      });

      it("may not write the log or a bucket", async () => {
        const pods = await run("kv", "ls", "swain_default_pods");
        await expect(run("kv", "put", "swain_default_pods", "default.made-up", "{}")).rejects.toThrow(/nats kv put/);
        expect(await run("kv", "ls", "swain_default_pods")).toBe(pods);
      });
    },
  );
});

const failing = {
  image: undefined,
  command: undefined,
  ports: undefined,
  process: { command: [process.execPath, "-e", "process.exit(3)"] },
};
