// examples/sandbox.yaml as a user deploys it, and what is said of a pod whose network is not there to be shared.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cluster, root, swain, until } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";
import { describeEngine, testImage } from "../support/docker.ts";

const lonely = (nodes: string): object => ({
  apiVersion: "swain/v1",
  kind: "Workload",
  metadata: { name: "lonely" },
  spec: {
    replicas: 1,
    network: { mode: "pod", workload: nodes },
    containers: [{ name: "main", image: testImage, command: ["sleep", "1000"] }],
  },
});

await describeEngine("examples/sandbox.yaml", (engine) => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.up({
      runtime: "docker",
      nodes: 2,
      natsServer: engine.natsServer,
      args: ["--engine", engine.socket],
    });
  });
  afterAll(() => cluster?.dispose());

  it("runs with the rights it asks for, and shares its network with the second workload", async () => {
    const port = await freePort();
    const text = readFileSync(join(root, "examples/sandbox.yaml"), "utf8").replace("port: 8085", `port: ${port}`);
    const applied = await swain(["apply", "-f", "-", "--data", cluster.data, "--wait"], { input: text });
    expect(applied.code, applied.stdout + applied.stderr).toBe(0);
    const answer = await until("it answers", async () => (await fetch(`http://127.0.0.1:${port}/`)).text());
    expect(answer).toBe("1000\n");
    const pods = await cluster.pods();
    const [caged, probe] = ["caged", "probe"].map((name) => pods.find((pod) => pod.spec.workload === name));
    expect(probe?.spec.node).toBe(caged?.spec.node);
    const logs = await until("the probe has its answer", async () => {
      const { stdout } = await cluster.run("logs", `pod/${probe?.metadata.name}`);
      return stdout !== "" && stdout;
    });
    expect(logs).toBe("1000\n");
    const id = caged?.status.containers?.[0]?.id ?? "";
    const { HostConfig: host } = await engine.api.getContainer(id).inspect();
    expect(host).toMatchObject({ ReadonlyRootfs: true, PidsLimit: 32, CpuShares: 512, Dns: ["10.0.0.53"] });
    expect(host.ExtraHosts).toEqual(["db.internal:10.0.0.7"]);
  });

  it("says on which nodes a network to be shared is missing", async () => {
    expect((await cluster.apply([lonely("nobody")])).code).toBe(0);
    const pod = await until("it is refused", async () =>
      (await cluster.pods()).find(
        ({ spec, status }) => spec.workload === "lonely" && status.reason === "UNSCHEDULABLE",
      ),
    );
    expect(pod.status.message).toContain("without a pod of workload nobody");
    await cluster.ok("delete", "workload/lonely", "--wait");
  });
});
