import { describe, expect, it, test } from "vitest";
import { withDefaults } from "../../services/core/defaults.ts";
import { checkManifest } from "../../services/core/manifest.ts";
import { filters } from "../../services/core/scheduler/filters.ts";
import type { Candidate } from "../../services/core/scheduler/room.ts";
import { templateOf } from "../../services/core/template.ts";
import type { WorkloadManifest } from "../../schemas/generated/types.ts";

const workload = (container: object, spec: object = {}): WorkloadManifest => ({
  apiVersion: "swain/v1",
  kind: "Workload",
  metadata: { name: "web" },
  spec: { containers: [{ name: "web", image: "nginx", ...container }], ...spec },
});
const told = (container: object, spec: object = {}): string[] =>
  checkManifest(workload(container, spec)).map(({ path, code }) => `${path} ${code}`);

const everything = {
  security: {
    user: "app:web",
    groups: [100],
    capabilities: { add: ["NET_ADMIN"], drop: ["ALL"] },
    seccomp: "/etc/profile.json",
    noNewPrivileges: true,
    readOnlyRoot: true,
  },
  tmpfs: [{ mountPath: "/tmp", size: "16Mi" }],
  resources: { pids: 10, cpuShares: 100, cpuSet: "0-1,3" },
  ulimits: [{ name: "nofile", soft: 100, hard: -1 }],
  devices: [{ hostPath: "/dev/fuse" }],
  gpus: "all",
  shmSize: "1Mi",
};

test("all of the sandbox together is right", () => {
  const spec = {
    network: { mode: "bridge" },
    hosts: [{ ip: "::1", names: ["db"] }],
    dns: { servers: ["10.0.0.1", "fd00::1"], searches: ["shop.test"], options: ["ndots:2"] },
  };
  expect(told(everything, spec)).toEqual([]);
});

test.each([
  ["memory over the root", { tmpfs: [{ mountPath: "/" }] }, {}, "/spec/containers/0/tmpfs/0/mountPath"],
  [
    "privileged with dropped rights",
    { security: { privileged: true, capabilities: { drop: ["ALL"] } } },
    {},
    "/spec/containers/0/security/capabilities/drop",
  ],
  [
    "privileged with a profile",
    { security: { privileged: true, seccomp: "default" } },
    {},
    "/spec/containers/0/security/seccomp",
  ],
  [
    "added and dropped",
    { security: { capabilities: { add: ["CHOWN"], drop: ["CHOWN"] } } },
    {},
    "/spec/containers/0/security/capabilities/drop/0",
  ],
  [
    "CAP_",
    { security: { capabilities: { add: ["CAP_CHOWN"] } } },
    {},
    "/spec/containers/0/security/capabilities/add/0",
  ],
  ["soft above hard", { ulimits: [{ name: "nofile", soft: 2, hard: 1 }] }, {}, "/spec/containers/0/ulimits/0/soft"],
  ["none above some", { ulimits: [{ name: "nofile", soft: -1, hard: 1 }] }, {}, "/spec/containers/0/ulimits/0/soft"],
  ["a CPU range backwards", { resources: { cpuSet: "0,3-1" } }, {}, "/spec/containers/0/resources/cpuSet"],
  [
    "hosts on the node's network",
    {},
    { network: { mode: "host" }, hosts: [{ ip: "10.0.0.1", names: ["a"] }] },
    "/spec/hosts",
  ],
  ["dns without a network", {}, { network: { mode: "none" }, dns: { servers: ["10.0.0.1"] } }, "/spec/dns"],
  [
    "ports without a network",
    { ports: [{ name: "a", containerPort: 80 }] },
    { network: { mode: "none" } },
    "/spec/containers/0/ports/0",
  ],
  [
    "ports on a shared network",
    { ports: [{ name: "a", containerPort: 80 }] },
    { network: { mode: "pod", workload: "db" } },
    "/spec/containers/0/ports/0",
  ],
  [
    "another port outside",
    { ports: [{ name: "a", containerPort: 80, hostPort: 81 }] },
    { network: { mode: "host" } },
    "/spec/containers/0/ports/0/hostPort",
  ],
  ["a workload without need", {}, { network: { mode: "host", workload: "db" } }, "/spec/network/workload"],
  ["its own network", {}, { network: { mode: "pod", workload: "web" } }, "/spec/network/workload"],
  ["no address", {}, { hosts: [{ ip: "10.0.0.300", names: ["a"] }] }, "/spec/hosts/0/ip"],
  ["no resolver", {}, { dns: { servers: ["1.2.3"] } }, "/spec/dns/servers/0"],
])("%s is told at its place", (_title, container, spec, path) => {
  expect(told(container, spec)).toEqual([`${path} BAD_VALUE`]);
});

test("what is there twice, of no size or missing is told", () => {
  expect(
    told({
      volumes: [{ name: "data", mountPath: "/data" }],
      tmpfs: [{ mountPath: "/data" }, { mountPath: "/b", size: 0 }],
      shmSize: 0,
    }),
  ).toEqual([
    "/spec/containers/0/tmpfs/0/mountPath DUPLICATE",
    "/spec/containers/0/shmSize OUT_OF_RANGE",
    "/spec/containers/0/tmpfs/1/size OUT_OF_RANGE",
  ]);
  expect(
    told({
      ulimits: [
        { name: "core", soft: 0 },
        { name: "core", soft: 1 },
      ],
    }),
  ).toEqual(["/spec/containers/0/ulimits/1/name DUPLICATE"]);
  expect(told({}, { network: { mode: "pod" } })).toEqual(["/spec/network REQUIRED"]);
});

describe("where a pod with a special network may go", () => {
  const template = (network: object, ports: object[] = []) =>
    templateOf(withDefaults(workload({ ports }, { network })).spec, { sequence: 1, eventId: "e1" }, "shop");

  it("on the node's network its ports are the node's", () => {
    const ports = [{ name: "a", containerPort: 80 }];
    expect(template({ mode: "host" }, ports).hostPorts).toEqual([80]);
    expect(template({ mode: "bridge" }, ports).hostPorts).toEqual([]);
  });

  it("one that shares a network goes only where a pod of that workload is, and says so", () => {
    const network = filters.find(({ name }) => name === "network");
    const guest = template({ mode: "pod", workload: "db" });
    const candidate = (key: string): Candidate => ({ perWorkload: new Map([[key, 1]]) }) as unknown as Candidate;
    expect(network?.applies(guest)).toBe(true);
    expect(network?.applies(template({ mode: "bridge" }))).toBe(false);
    expect(network?.check(guest, candidate("shop/db"), {} as never, [])).toBe(true);
    expect(network?.check(guest, candidate("other/db"), {} as never, [])).toBe(false);
    expect(network?.explain(guest)).toContain("workload db");
  });
});

test("an image with credentials is refused without showing them", () => {
  for (const image of ["alice:pw@host/x", "https://alice:pw@host/x", "alice:pw@host:5000/x:1"]) {
    const problems = checkManifest(workload({ image }));
    expect(problems).toMatchObject([{ path: "/spec/containers/0/image", code: "BAD_VALUE" }]);
    expect(JSON.stringify(problems)).not.toContain("pw");
  }
  expect(told({ image: `host:5000/x@sha256:${"a".repeat(64)}` })).toEqual([]);
});

test("numbers of users and groups beyond what engines take are told, and a folder that is mounted twice", () => {
  expect(told({ security: { user: 2147483648, groups: [1, 2147483648] } })).toEqual([
    "/spec/containers/0/security/user OUT_OF_RANGE",
    "/spec/containers/0/security/groups/1 OUT_OF_RANGE",
  ]);
  expect(told({ security: { user: "1:2147483648" } })).toEqual(["/spec/containers/0/security/user OUT_OF_RANGE"]);
  expect(told({ security: { user: "2147483647:2147483647" } })).toEqual([]);
  const twice = { volumes: [{ name: "a", mountPath: "/data/" }], tmpfs: [{ mountPath: "/data" }] };
  expect(told(twice)).toEqual(["/spec/containers/0/tmpfs/0/mountPath DUPLICATE"]);
});
