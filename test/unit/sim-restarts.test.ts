// What the simulation says of pods that start again too late or too often, and of nodes that are promised more than they have.
import { expect, it } from "vitest";
import { Restarts } from "../simulation/restarts.ts";
import { overPromised } from "../simulation/room.ts";
import { Troubles } from "../simulation/troubles.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

const observed = { reason: "EXITED", message: "", restarts: 2 };
const item = { kind: "pod", verb: "backoff", namespace: "default", name: "web-1", observed } as const;

it("blames a node that lets a pod wait which ran for a minute, unless the agent or the log began anew meanwhile", () => {
  let now = 500_000;
  const troubles = new Troubles(() => now);
  const said: string[] = [];
  const restarts = new Restarts(
    () => now,
    troubles,
    (message) => said.push(message),
  );
  let ran = 61_000;
  restarts.lastRunMs = () => ran;
  const looks = (): void => restarts.onPod(item, "n1", "default/web-1", 9);
  looks();
  expect(said).toEqual([]);
  ran = 63_000;
  looks();
  expect(said).toEqual(["event 9: default/web-1 waits to start again though it ran for 63000 ms"]);
  troubles.begin("n1", "killContainers")();
  looks();
  troubles.begin("n1", "kill")();
  looks();
  expect(said).toHaveLength(2);
  now += 200_000;
  looks();
  expect(said).toHaveLength(3);
  const on = troubles.begin("bus", "everythingOff");
  now += 1000;
  on();
  looks();
  expect(said).toHaveLength(3);
  now += 200_000;
  looks();
  expect(said).toHaveLength(4);
  // What the log lost is not known to who leads now.
  restarts.forget();
  looks();
  expect(said).toHaveLength(4);
  now += 200_000;
  looks();
  expect(said).toHaveLength(5);
});

it("blames a node that starts a pod more than ten times within a minute", () => {
  let now = 500_000;
  const said: string[] = [];
  const restarts = new Restarts(
    () => now,
    new Troubles(() => now),
    (message) => said.push(message),
  );
  for (let n = 0; n < 20; n += 1) {
    now += 6500;
    restarts.onStart("n1", "default/web-1", "main");
  }
  expect(said).toEqual([]);
  for (let n = 0; n < 11; n += 1) restarts.onStart("n1", "default/web-2", "main");
  expect(said).toEqual(["node n1 starts default/web-2 11 times within a minute"]);
  // The log may give the name again that it lost.
  restarts.forget();
  for (let n = 0; n < 10; n += 1) restarts.onStart("n1", "default/web-2", "main");
  expect(said).toHaveLength(1);
});

it("adds up by itself what is promised of a node", () => {
  const cluster = new TestCluster({ n1: {} });
  const containers = [{ name: "main", sim: {}, resources: { requests: { cpu: "100m", memory: "64Mi" } } }];
  const asked = { cpuMillis: 100, memoryBytes: 64 * 1024 ** 2 };
  cluster.apply(workloadManifest("web", { replicas: 3, containers }));
  expect(overPromised(cluster.state, "n1", asked)).toBeNull();
  const node = cluster.state.nodes.get("n1")!;
  node.reserved.cpuMillis = 0;
  node.facts = { ...node.facts, capacity: { ...node.facts.capacity, cpuMillis: 299 } };
  expect(overPromised(cluster.state, "n1", asked)).toMatch(/^300m of 299m, /);
  // Who asks for no CPU has room where others have too little.
  expect(overPromised(cluster.state, "n1", { ...asked, cpuMillis: 0 })).toBeNull();
  cluster.converge();
  cluster.apply(workloadManifest("web", { replicas: 0, containers }));
  cluster.converge();
  expect(overPromised(cluster.state, "n1", asked)).toBeNull();
});
