// What the simulation says of answers that operators get.
import { beforeEach, expect, it } from "vitest";
import type { ChangeResult, Event } from "../../schemas/generated/types.ts";
import { Answers } from "../simulation/answers.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

let cluster: TestCluster;
let answers: Answers;
let said: string[];
let seen: number;

/** Has the judge see what is new in the log. */
const look = (): number => {
  for (const { sequence, event } of cluster.log) {
    if (sequence <= seen) continue;
    seen = sequence;
    for (const item of (event as Event).items) answers.onItem(cluster.state, item, sequence);
  }
  return seen;
};
type Said = Pick<ChangeResult, "kind" | "name" | "action">;
const tell = (wished: string, result: Said, sequence: number, body = {}): string[] => {
  const [resource = "", verb = ""] = wished.split(".");
  const namespace = result.kind === "Node" ? "" : "default";
  const wish = { namespace: "default", resource, verb, body };
  answers.onAnswer(cluster.state, {
    operation: "x",
    wish,
    outcome: { epoch: 1, sequence, results: [{ ...result, namespace }] },
  });
  return said.splice(0);
};
const web = (action: ChangeResult["action"]): Said => ({ kind: "Workload", name: "web", action });
const n1 = (action: ChangeResult["action"]): Said => ({ kind: "Node", name: "n1", action });

beforeEach(() => {
  cluster = new TestCluster({ n1: {} });
  said = [];
  seen = 0;
  answers = new Answers((message) => said.push(message));
  cluster.apply(workloadManifest("web", { replicas: 2 }));
  look();
});

it("are blamed where they acknowledge what is not in the log, whatever it is", () => {
  const why =
    "workload.scale x was acknowledged at 9, but is not in the log: Workload default/web, 2, is said to be scaled";
  expect(tell("workload.scale", web("scaled"), 9, { replicas: 3 })).toEqual([why]);
  for (const action of ["created", "configured", "undone", "deleted"] as const)
    expect(tell("workload.any", web(action), 9)).toHaveLength(1);
  for (const action of ["cordoned", "draining", "uncordoned", "removed"] as const)
    expect(tell("node.any", n1(action), 9)).toHaveLength(1);
  expect(tell("service.delete", { kind: "Service", name: "web", action: "deleted" }, 9)).toHaveLength(1);
});

it("may find all as it was wished in the log that they name, whatever came of it since", () => {
  const before = seen;
  expect(tell("workload.scale", web("unchanged"), before, { replicas: 2 })).toEqual([]);
  expect(tell("workload.scale", web("unchanged"), before, { replicas: 1 })).toHaveLength(1);
  expect(tell("node.uncordon", n1("unchanged"), before)).toEqual([]);
  expect(tell("node.drain", n1("unchanged"), before)).toHaveLength(1);
  cluster.write("api", [{ kind: "workload", verb: "deleted", namespace: "default", name: "web" }]);
  const deleted = look();
  expect(tell("workload.scale", web("unchanged"), before, { replicas: 2 })).toEqual([]);
  expect(tell("workload.delete", web("deleted"), before)).toHaveLength(1);
  expect(tell("workload.delete", web("deleted"), deleted)).toEqual([]);
});

it("may find manifests applied already", () => {
  const applied = (replicas: number): string[] =>
    tell("manifest.apply", web("unchanged"), seen, { documents: [workloadManifest("web", { replicas })] });
  expect(applied(2)).toEqual([]);
  const why = "manifest.apply x was acknowledged at 4, but is not in the log: workload web is said to be unchanged";
  expect(applied(3)).toEqual([why]);
  expect(tell("workload.undo", web("unchanged"), seen)).toHaveLength(1);
});

it("must name the one event that carries the operation, for good", () => {
  answers.onOperation("x", 4);
  expect(tell("workload.scale", web("scaled"), 4)).toEqual([]);
  answers.finish();
  expect([said, answers.count]).toEqual([[], 1]);
  expect(tell("workload.scale", web("scaled"), 5)).toEqual([
    "workload.scale x was acknowledged at 5, but is in the log at 4",
  ]);
  answers.onOperation("x", 6);
  answers.finish();
  const lost = "operation x, acknowledged at 5, is not in the log any more";
  expect(said.splice(0)).toEqual(["operation x was carried out twice, at 4 and 6", lost]);
});

it("may not refuse what is in the log, but leave it open", () => {
  answers.onOperation("x", 4);
  const wish = { namespace: "default", resource: "workload", verb: "undo", body: {} };
  for (const outcome of ["TIMEOUT", "NOT_FOUND"]) answers.onAnswer(cluster.state, { operation: "x", wish, outcome });
  expect(said).toEqual(["operation x was refused with NOT_FOUND, but is in the log at 4"]);
});
