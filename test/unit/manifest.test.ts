import { expect, test } from "vitest";
import { withDefaults } from "../../services/core/defaults.ts";
import { checkManifests } from "../../services/core/manifest-set.ts";
import { checkManifest } from "../../services/core/manifest.ts";
import { nearest } from "../../services/core/nearest.ts";

const workload = (spec: object = {}, container: object = {}): object => ({
  apiVersion: "swain/v1",
  kind: "Workload",
  metadata: { name: "web" },
  spec: { containers: [{ name: "web", image: "nginx", ...container }], ...spec },
});
const service = (ports: object[], metadata: object = {}): object => ({
  apiVersion: "swain/v1",
  kind: "Service",
  metadata: { name: "web", ...metadata },
  spec: { selector: { workload: "web" }, ports },
});
const autoscaler = (spec: object): object => ({
  apiVersion: "swain/v1",
  kind: "Autoscaler",
  metadata: { name: "web" },
  spec: { workload: "web", ...spec },
});
const told = (document: unknown): string[] =>
  checkManifest(document).map(({ path, code, message }) => `${path} ${code} ${message}`);

test("a complete manifest has no problems", () => {
  const full = workload(
    { replicas: 0, placement: "binpack", nodeSelector: { disk: "ssd" }, lostAfter: "30s" },
    {
      ports: [{ name: "http", containerPort: 80, hostPort: 8080, protocol: "tcp" }],
      resources: { requests: { cpu: 0.5, memory: "64Mi" }, limits: { cpu: "500m", memory: "64Mi" } },
      volumes: [
        { hostPath: "/data", mountPath: "/data" },
        { name: "cache", mountPath: "/cache", readOnly: true },
      ],
      env: [{ name: "A", value: "" }],
    },
  );
  expect(checkManifest(full)).toEqual([]);
  expect(
    checkManifest(
      service([
        { port: 80, targetPort: "http" },
        { port: 81, targetPort: 8081 },
      ]),
    ),
  ).toEqual([]);
});

test.each([
  ["not a mapping", 5, " WRONG_TYPE a manifest must be a mapping with apiVersion, kind, metadata and spec"],
  [
    "a newer apiVersion",
    { ...workload(), apiVersion: "swain/v2" },
    '/apiVersion BAD_VALUE unknown apiVersion; this Swain knows "swain/v1"',
  ],
  [
    "an unknown kind",
    { ...workload(), kind: "Deployment" },
    "/kind UNKNOWN_KIND unknown kind; known kinds are Workload, Service, Autoscaler",
  ],
  [
    "a mistyped kind",
    { ...workload(), kind: "workloads" },
    '/kind UNKNOWN_KIND unknown kind; did you mean "Workload"?',
  ],
  [
    "an unknown field",
    workload({ placment: "spread" }),
    '/spec/placment UNKNOWN_FIELD unknown field "placment"; did you mean "placement"?',
  ],
  [
    "a value outside an enum",
    workload({ placement: "sprad" }),
    '/spec/placement BAD_VALUE placement must be one of spread, binpack; did you mean "spread"?',
  ],
  [
    "too many replicas",
    workload({ replicas: 10_001 }),
    /\/spec\/replicas OUT_OF_RANGE replicas must be between 0 and 10000/,
  ],
  [
    "no containers",
    workload({ containers: [] }),
    "/spec/containers OUT_OF_RANGE containers must have at least 1 entry",
  ],
  [
    "a label that is none",
    { ...workload(), metadata: { name: "web", labels: { "a b": "x" } } },
    /labels\/a b BAD_VALUE "a b" is no valid key/,
  ],
  [
    "a label value that is none",
    { ...workload(), metadata: { name: "web", labels: { a: "x y" } } },
    /labels\/a BAD_VALUE a has the wrong form: a label value/,
  ],
  [
    "a wrong duration",
    workload({ lostAfter: "15 seconds" }),
    "/spec/lostAfter BAD_VALUE lostAfter has the wrong form: a whole number and a unit: ms, s, m or h",
  ],
  [
    "a duration past every timer",
    workload({ lostAfter: "481h" }),
    "/spec/lostAfter OUT_OF_RANGE a duration must be at most 480h (20 days)",
  ],
  [
    "a wrong cpu unit",
    workload({}, { resources: { limits: { cpu: "2 cores" } } }),
    /limits\/cpu BAD_VALUE cpu has the wrong form: CPU cores: /,
  ],
  [
    "a wrong memory unit",
    workload({}, { resources: { limits: { memory: "1GB" } } }),
    /limits\/memory BAD_VALUE memory has the wrong form: bytes, with a unit/,
  ],
  [
    "more memory than any machine",
    workload({}, { resources: { limits: { memory: "1025Ti" } } }),
    /limits\/memory OUT_OF_RANGE memory must be at most 1 PiB/,
  ],
  [
    "a limit below the request",
    workload({}, { resources: { requests: { cpu: 1 }, limits: { cpu: "500m" } } }),
    "/spec/containers/0/resources/limits/cpu BAD_VALUE the limit of cpu is below its request of 1",
  ],
  [
    "nothing to run",
    workload({ containers: [{ name: "x" }] }),
    "/spec/containers/0 REQUIRED a container needs one of image, process or sim",
  ],
  [
    "a port of an image without its number",
    workload({}, { ports: [{ name: "http" }] }),
    /ports\/0 REQUIRED containerPort is missing/,
  ],
  [
    "arguments of an image beside a process alone",
    workload({ containers: [{ name: "a", process: { command: ["x"] }, args: ["y"] }] }),
    "/spec/containers/0/args BAD_VALUE this is for an image; the program of a process goes under process.command",
  ],
  [
    "a NUL in a command",
    workload({}, { command: ["sh", "a\0b"] }),
    "/spec/containers/0/command/1 BAD_VALUE a NUL character cannot be passed to a program",
  ],
  [
    "a variable set twice",
    workload(
      {},
      {
        env: [
          { name: "A", value: "1" },
          { name: "A", value: "2" },
        ],
      },
    ),
    "/spec/containers/0/env/1/name DUPLICATE this variable is set already",
  ],
  [
    "two mounts at one path",
    workload(
      {},
      {
        volumes: [
          { name: "a", mountPath: "/a" },
          { name: "b", mountPath: "/a" },
        ],
      },
    ),
    "/spec/containers/0/volumes/1/mountPath DUPLICATE something is mounted there already",
  ],
  [
    "a volume of nothing",
    workload({}, { volumes: [{ mountPath: "/a" }] }),
    /volumes\/0 REQUIRED a volume needs name or hostPath: a folder of the node/,
  ],
  [
    "a volume of two kinds",
    workload({}, { volumes: [{ name: "a", hostPath: "/a", mountPath: "/a" }] }),
    /volumes\/0 BAD_VALUE a volume has either/,
  ],
  [
    "a service port twice",
    service([
      { port: 80, targetPort: 80, name: "a" },
      { port: 80, targetPort: 81, name: "b" },
    ]),
    "/spec/ports/1/port DUPLICATE this port is there already",
  ],
  [
    "a service port named like another's number",
    service([
      { port: 80, targetPort: 80 },
      { name: "80", port: 81, targetPort: 80 },
    ]),
    "/spec/ports/1/name DUPLICATE a port of this name is there already",
  ],
  [
    "a target port out of range",
    service([{ port: 80, targetPort: 70_000 }]),
    /targetPort OUT_OF_RANGE targetPort must be between 1 and 65535/,
  ],
  [
    "an autoscaler whose bounds are crossed",
    autoscaler({ minReplicas: 5, maxReplicas: 2, cpu: 50 }),
    "/spec/maxReplicas OUT_OF_RANGE maxReplicas must not be below minReplicas of 5",
  ],
  [
    "an autoscaler that goes by nothing",
    autoscaler({ minReplicas: 1, maxReplicas: 2 }),
    "/spec REQUIRED the spec needs cpu or memory, or both",
  ],
  [
    "an autoscaler with a cooldown no timer can hold",
    autoscaler({ minReplicas: 1, maxReplicas: 2, cpu: 50, cooldown: "999h" }),
    "/spec/cooldown OUT_OF_RANGE a duration must be at most 480h (20 days)",
  ],
])("%s is refused with its path, and nothing else is", (_, document, expected) => {
  expect(told(document)).toEqual([typeof expected === "string" ? expected : expect.stringMatching(expected)]);
});

test("ports are unique over all containers of a pod, which share a network", () => {
  const container = (name: string): object => ({
    name,
    image: "x",
    ports: [{ name: "http", containerPort: 80, hostPort: 80 }],
  });
  expect(told(workload({ containers: [container("a"), container("b")] })).map((line) => line.split(" ")[0])).toEqual([
    "/spec/containers/1/ports/0/name",
    "/spec/containers/1/ports/0/containerPort",
    "/spec/containers/1/ports/0/hostPort",
  ]);
});

test("a mistyped kind does not hide the document's other problems", () => {
  const document = { ...workload({ replica: 1 }), kind: "Worklod" };
  expect(checkManifest(document).map(({ code }) => code)).toEqual(["UNKNOWN_KIND", "UNKNOWN_FIELD"]);
});

test("hostile documents are refused without harm", () => {
  const proto = JSON.parse(
    '{"apiVersion":"swain/v1","kind":"Workload","metadata":{"name":"a"},"spec":{"__proto__":{"x":1},"containers":[null,7,{"name":"constructor","toString":1}]}}',
  ) as unknown;
  expect(checkManifest(proto).length).toBeGreaterThan(3);
  expect(checkManifest({ kind: "constructor" }).map(({ code }) => code)).toEqual(["REQUIRED", "UNKNOWN_KIND"]);
  expect(checkManifest({ kind: "x".repeat(1_000_000) }).map(({ code }) => code)).toEqual(["REQUIRED", "UNKNOWN_KIND"]);
});

test("a readiness check names a port of the pod, with a rhythm that can be kept", () => {
  const ports = [{ name: "http", containerPort: 80 }];
  const check = (readiness: object, spec: object = {}) => told(workload(spec, { ports, readiness }));
  expect(check({ http: { port: "http", path: "/health" } })).toEqual([]);
  expect(check({ tcp: { port: 9000 }, interval: "100ms", timeout: "1ms", initialDelay: "0s" })).toEqual([]);
  expect(check({ http: { port: "htp" } })).toEqual([
    "/spec/containers/0/readiness/http/port BAD_VALUE no port of this name is declared; declared are http",
  ]);
  expect(told(workload({}, { readiness: { tcp: { port: "http" } } }))).toEqual([
    "/spec/containers/0/readiness/tcp/port BAD_VALUE no port of this name is declared; the pod declares no port",
  ]);
  expect(check({ tcp: { port: "http" }, interval: "99ms", timeout: "61s", initialDelay: "481h" })).toEqual([
    "/spec/containers/0/readiness/initialDelay OUT_OF_RANGE a duration must be at most 480h (20 days)",
    "/spec/containers/0/readiness/interval OUT_OF_RANGE must be at least 100ms",
    "/spec/containers/0/readiness/timeout OUT_OF_RANGE must be above 0 and at most 60s",
  ]);
  expect(check({ tcp: { port: "http" }, timeout: "0s" })[0]).toContain("timeout OUT_OF_RANGE");
  expect(check({ tcp: { port: "http" } }, { network: { mode: "none" } }).join("\n")).toContain(
    "/spec/containers/0/readiness BAD_VALUE a pod without a network cannot be reached by a check",
  );
  expect(check({})).not.toEqual([]);
});

test("documents of one apply may not name the same object twice, in different namespaces they may", () => {
  const problems = checkManifests([
    workload(),
    service([{ port: 1, targetPort: 1 }], { namespace: "other" }),
    workload(),
  ]);
  expect(problems).toEqual([expect.objectContaining({ document: 2, path: "/metadata/name", code: "DUPLICATE" })]);
});

test("a service that asks for a port its workload does not have is refused", () => {
  const web = workload({}, { ports: [{ name: "http", containerPort: 80 }] });
  expect(
    checkManifests([
      service([
        { port: 80, targetPort: "http" },
        { port: 81, targetPort: 80 },
      ]),
      web,
    ]),
  ).toEqual([]);
  expect(checkManifests([service([{ port: 80, targetPort: "htp" }]), web])).toEqual([
    {
      document: 0,
      path: "/spec/ports/0/targetPort",
      code: "BAD_VALUE",
      message: 'workload web has the ports http, 80; did you mean "http"?',
      value: "htp",
    },
  ]);
});

test("defaults fill what is left out and nothing else; replicas stay out", () => {
  const filled = withDefaults(workload({ lostAfter: "1m" }, { ports: [{ name: "http", containerPort: 80 }] }) as never);
  expect(filled).toEqual({
    apiVersion: "swain/v1",
    kind: "Workload",
    metadata: { name: "web", namespace: "default" },
    spec: {
      placement: "spread",
      restartPolicy: "Always",
      lostAfter: "1m",
      stopGracePeriod: "10s",
      drainTimeout: "10s",
      progressDeadline: "60s",
      containers: [{ name: "web", image: "nginx", ports: [{ name: "http", containerPort: 80, protocol: "tcp" }] }],
    },
  });
  const ports = withDefaults(
    service([
      { port: 80, targetPort: "http" },
      { name: "x", port: 81, targetPort: 1 },
    ]) as never,
  );
  expect(ports.spec).toMatchObject({ ports: [{ name: "80" }, { name: "x" }] });
});

test("the nearest word is found for slips, and none for strangers", () => {
  const words = ["workload", "service", "pods", "replicas"];
  expect(["wrokload", "Workloads", "pod", "replica", "srvice"].map((word) => nearest(word, words))).toEqual([
    "workload",
    "workload",
    "pods",
    "replicas",
    "service",
  ]);
  expect(["banana", "x", ""].map((word) => nearest(word, words))).toEqual([undefined, undefined, undefined]);
});

test("what a service says about traffic is checked for meaning, every problem at once", () => {
  const spec = {
    selector: { workload: "web" },
    ports: [{ port: 80, targetPort: "http" }],
    balance: "least-connections",
    sticky: "source",
    check: { type: "tcp", path: "/", interval: "10ms", timeout: "481h" },
    ejection: { for: "99ms" },
  };
  const problems = told({ apiVersion: "swain/v1", kind: "Service", metadata: { name: "web" }, spec });
  expect(problems.map((line) => line.split(" ").slice(0, 2).join(" ")).toSorted()).toEqual([
    "/spec/balance BAD_VALUE",
    "/spec/check/interval OUT_OF_RANGE",
    "/spec/check/path BAD_VALUE",
    "/spec/check/timeout OUT_OF_RANGE",
    "/spec/ejection/for OUT_OF_RANGE",
  ]);
});

test("two autoscalers of one workload in what is applied together are a problem of the second one", () => {
  const scaler = (name: string, namespace: string, workload: string): unknown => ({
    apiVersion: "swain/v1",
    kind: "Autoscaler",
    metadata: { name, namespace },
    spec: { workload, minReplicas: 1, maxReplicas: 2, cpu: 50 },
  });
  expect(
    checkManifests([scaler("a", "default", "web"), scaler("a", "shop", "web"), scaler("b", "shop", "db")]),
  ).toEqual([]);
  expect(checkManifests([scaler("a", "shop", "web"), scaler("b", "shop", "web")])).toEqual([
    {
      document: 1,
      path: "/spec/workload",
      code: "DUPLICATE",
      message: "workload web has the autoscaler a already; a workload has one at most",
      value: "web",
    },
  ]);
});
