// The text of `describe`: what an object should be, what it is, why it is not what it should be and what to do about it,
// and what happened to it last.
import type {
  EndpointObject,
  AutoscalerObject,
  NodeObject,
  PodObject,
  ProxyObject,
  ServiceObject,
  WorkloadObject,
} from "../schemas/generated/types.ts";
import { errorKinds, isCode } from "../services/kernel/errors.ts";
import { autoscalerFacts, metricSection, ownerFacts } from "./autoscaler-story.ts";
import type { ApiObject, Client } from "./client.ts";
import { heardProxies } from "./fetch.ts";
import { serviceReach } from "./service-reach.ts";
import type { ServiceReach } from "./service-reach.ts";
import { feedEvent } from "./events.ts";
import type { Resource } from "./kinds.ts";
import { byName } from "./natural.ts";
import { headingsOf, rowsOf } from "./output/objects.ts";
import type { ObjectView } from "./output/objects.ts";
import { because, nodeState, podState, servicePorts, stateCell } from "./output/rows.ts";
import { harmless, table, tableLines } from "./output/table.ts";
import type { Cell } from "./output/table.ts";
import { ageText, cpuText, memoryText } from "./output/units.ts";
import { podWaiting, serviceWaiting, workloadWaiting } from "./waiting.ts";
import { eventLine } from "./show-events.ts";
import { backendsText, downCode } from "./show-proxies.ts";

export interface StoryOf {
  readonly resource: Exclude<Resource, "event">;
  readonly namespace: string;
  readonly name: string;
  readonly object: ApiObject;
  readonly color: boolean;
}

type Fact = readonly [name: string, value: string | Cell];

/** Pods and events shown; the rest is what `get` is for. */
const shownPods = 20;
const shownEvents = 10;

/** The whole text, with its last line end. */
export async function story(client: Client, of: StoryOf): Promise<string> {
  const now = Date.now();
  const view: ObjectView = { resource: "pod", format: "table", namespaced: false, color: of.color, now };
  const { object, namespace, name } = of;
  switch (of.resource) {
    case "workload": {
      const workload = object as unknown as WorkloadObject;
      const pods = await podsWhere(client, namespace, ({ spec }) => spec.workload === name);
      const reasons = [workload.status, ...pods.map(({ status }) => status)];
      return [
        facts(
          [
            ...workloadFacts(workload),
            ["Waiting for", workloadWaiting(workload, pods)],
            ...(await ownerFacts(client, namespace, name)),
          ],
          of.color,
        ),
        await specText("Containers", workload.spec.containers),
        podSection(pods, view),
        reasonSection(reasons),
        await eventSection(client, namespace, [name, ...pods.map(({ metadata }) => metadata.name)], now),
      ].join("");
    }
    case "service":
      return serviceStory(client, of, view);
    case "autoscaler": {
      const autoscaler = object as unknown as AutoscalerObject;
      return [
        facts(autoscalerFacts(autoscaler, now), of.color),
        metricSection(autoscaler, of.color),
        reasonSection([autoscaler.status.now]),
        await eventSection(client, namespace, [name], now),
      ].join("");
    }
    case "pod": {
      const pod = object as unknown as PodObject;
      return [
        facts([...podFacts(pod, now), ["Waiting for", podWaiting(pod, now)]], of.color),
        reasonSection([pod.status]),
        await eventSection(client, namespace, [name], now),
      ].join("");
    }
    case "node": {
      const node = object as unknown as NodeObject;
      const pods = await podsWhere(client, "_", ({ spec }) => spec.node === name);
      return [
        facts(nodeFacts(node, now), of.color),
        podSection(pods, { ...view, namespaced: true }),
        reasonSection([node.status, ...pods.map(({ status }) => status)]),
        await eventSection(client, "_", [name], now),
      ].join("");
    }
  }
}

async function serviceStory(
  client: Client,
  { object, namespace, name, color }: StoryOf,
  view: ObjectView,
): Promise<string> {
  const service = object as unknown as ServiceObject;
  const key = `${namespace}/${name}`;
  const workload = service.spec.selector?.workload;
  const pods =
    workload === undefined ? [] : await podsWhere(client, namespace, ({ spec }) => spec.workload === workload);
  const proxies = await heardProxies(client);
  const reach = serviceReach(service, proxies);
  const isMissing = workload !== undefined && (await client.find(namespace, "workload", workload)) === null;
  const missing = isMissing ? `There is no workload ${workload} in namespace ${namespace}: it has no pods.\n` : "";
  return [
    facts([...serviceFacts(service, reach), ["Waiting for", serviceWaiting(service, pods)]], color),
    missing,
    workload === undefined ? "" : podSection(pods, view),
    await externalSection(client, namespace, name, view.now),
    proxySection(proxies, key, color),
    reasonSection([{ reason: reach.code }, { reason: downCode(proxies, key) }, ...pods.map(({ status }) => status)]),
    await eventSection(client, namespace, [name], view.now),
  ].join("");
}

async function podsWhere(client: Client, scope: string, wanted: (pod: PodObject) => boolean): Promise<PodObject[]> {
  return ((await client.list(scope, "pod")) as unknown as PodObject[]).filter(wanted).toSorted(byName);
}

function facts(list: readonly Fact[], color: boolean): string {
  const rows = list
    .filter(([, value]) => (typeof value === "string" ? value : value.text) !== "")
    .map(([name, value]) => [{ text: `${name}:` }, typeof value === "string" ? { text: value } : value]);
  const width = Math.max(...rows.map(([name]) => name?.text.length ?? 0));
  return tableLines(rows, [width, 0], color);
}

const pairs = (map: Readonly<Record<string, string>> | undefined): string =>
  Object.entries(map ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(", ");

function workloadFacts({ metadata, spec, status }: WorkloadObject): Fact[] {
  return [
    ["Workload", `${metadata.namespace}/${metadata.name}`],
    ["Labels", pairs(metadata.labels)],
    ["Generation", String(metadata.generation ?? "")],
    ["Phase", stateCell(status.phase)],
    [
      "Replicas",
      `${status.replicas} wanted, ${status.pods} there, ${status.ready} ready, ${status.updated} of the current template`,
    ],
    ["Placement", spec.placement ?? ""],
    ["Node selector", pairs(spec.nodeSelector)],
    ["Restart policy", spec.restartPolicy ?? ""],
    [
      "Times",
      `lost after ${spec.lostAfter}, drain ${spec.drainTimeout}, stop ${spec.stopGracePeriod}, progress ${spec.progressDeadline}`,
    ],
    ["Lost nodes", lostNodes(spec)],
    ["Reason", because(status.reason, status.message)],
  ];
}

/** What becomes of pods whose node is lost. */
function lostNodes({ onNodeLost, fence }: WorkloadObject["spec"]): string {
  const policy = onNodeLost === "hold" ? "pods wait for their node" : "pods are replaced";
  return fence === true ? `fenced: stopped by the agent first, then ${policy}` : policy;
}

function serviceFacts(service: ServiceObject, reach: ServiceReach): Fact[] {
  const { metadata, spec, status } = service;
  return [
    ["Service", `${metadata.namespace}/${metadata.name}`],
    ["Labels", pairs(metadata.labels)],
    ["Generation", String(metadata.generation ?? "")],
    ["Workload", spec.selector?.workload ?? "none: it has external endpoints alone"],
    ["Ports", servicePorts(service)],
    ["Endpoints", String(status.endpoints)],
    ["Proxies", reach.proxies.join(", ") || "none serves it: clients get in through `swain proxy`"],
    ["Reached at", reach.listens.join(", ")],
    ["Reason", reach.reason],
  ];
}

function podFacts(pod: PodObject, now: number): Fact[] {
  const { metadata, spec, status } = pod;
  const addresses = (status.addresses ?? []).map(({ name, host, hostPort, containerPort, local, localPort }) =>
    [
      `${name} ${host}:${hostPort}`,
      containerPort === undefined ? "" : `to ${containerPort}`,
      local === undefined ? "" : `(on its node ${local}:${localPort})`,
    ]
      .filter((part) => part !== "")
      .join(" "),
  );
  return [
    ["Pod", `${metadata.namespace}/${metadata.name}`],
    ["Workload", `${spec.workload}, slot ${spec.slot}, template ${spec.template}`],
    ["Node", spec.node ?? "none yet"],
    ["State", podState(pod)],
    ["Since", `${ageText(now - status.since)} (made ${ageText(now - status.created)} ago)`],
    ["Restarts", String(status.restarts)],
    ["Exit code", status.exitCode === undefined ? "" : String(status.exitCode)],
    ["Addresses", addresses.join(", ")],
    ["Containers", (status.containers ?? []).map(({ name, id }) => `${name} ${shortId(id)}`).join(", ")],
    ["Reason", because(status.reason, status.message)],
  ];
}

function nodeFacts({ metadata, facts: found, status }: NodeObject, now: number): Fact[] {
  const { capacity } = found;
  return [
    ["Node", metadata.name],
    ["State", nodeState({ metadata, facts: found, status } as NodeObject)],
    ["Since", ageText(now - status.since)],
    ["Hostname", found.hostname],
    ["Address", found.advertise],
    ["Runtime", `${found.runtime} (${found.engine})`],
    ["System", `${found.os} ${found.arch}, swain ${found.version}`],
    ["Labels", pairs(found.labels)],
    ["CPU", `${cpuText(status.reserved.cpuMillis)} of ${cpuText(capacity.cpuMillis)} reserved`],
    ["Memory", `${memoryText(status.reserved.memoryBytes)} of ${memoryText(capacity.memoryBytes)} reserved`],
    ["Pods", `${status.pods} of ${capacity.pods}`],
    ["Assignment", String(status.assignment)],
    ["Reason", because(status.reason, status.message)],
  ];
}

/** Engines cut their ids to twelve signs, too; other ids are words. */
const shortId = (id: string): string => (/^[0-9a-f]{64}$/.test(id) ? id.slice(0, 12) : id);

/** A part of the spec, as YAML. */
async function specText(title: string, entries: readonly object[]): Promise<string> {
  const { stringify } = await import("yaml");
  const lines = stringify(entries, { lineWidth: 0, aliasDuplicateObjects: false }).trimEnd().split("\n");
  return `\n${title}:\n${lines.map((line) => `  ${harmless(line)}\n`).join("")}`;
}

function podSection(pods: readonly PodObject[], view: ObjectView): string {
  if (pods.length === 0) return "\nPods: none\n";
  const shown = pods.slice(0, shownPods) as unknown as ApiObject[];
  const indent: Cell[] = [{ text: "" }];
  const rows = rowsOf(shown, view).map((row) => indent.concat(row));
  const headings = ["", ...headingsOf(view)];
  const more = pods.length > shownPods ? `  … and ${pods.length - shownPods} more\n` : "";
  return `\nPods:\n${table(headings, rows, view.color)}${more}`;
}

/** Programs that no node runs and that registered themselves. */
async function externalSection(client: Client, namespace: string, service: string, now: number): Promise<string> {
  const all = (await client.list(namespace, "endpoint")) as unknown as EndpointObject[];
  const lines = all
    .filter(({ spec }) => spec.service === service)
    .map(({ metadata, spec, status }) => {
      const addresses = spec.addresses.map(({ name, host, port }) => `${name}=${host}:${port}`).join(",");
      return `  ${metadata.name}  ${addresses}  ttl ${spec.ttlMs / 1000}s  registered ${ageText(now - status.since)} ago\n`;
    });
  return lines.length === 0 ? "" : `\nExternal endpoints:\n${lines.slice(0, shownPods).join("")}`;
}

/** The service as its proxies see it. */
function proxySection(proxies: readonly ProxyObject[], service: string, color: boolean): string {
  const text = backendsText(proxies, service, color);
  return text === "" ? "" : `\nProxies:\n${text}`;
}

/** Every reason code that appears, once, with its cure. */
function reasonSection(statuses: readonly { readonly reason: string }[]): string {
  const codes = [...new Set(statuses.map(({ reason }) => reason))].filter((code) => isCode(code));
  const cures = codes.filter((code) => errorKinds[code].action !== "Nothing to do.");
  if (cures.length === 0) return "";
  return `\nWhat to do:\n${cures.map((code) => `  ${code}: ${errorKinds[code].action}\n`).join("")}`;
}

async function eventSection(client: Client, scope: string, names: readonly string[], now: number): Promise<string> {
  // The events of a handful of names are asked for one by one, of more the newest of all of them are picked.
  const few = names.length <= 3;
  const lists = few
    ? await Promise.all(names.map((name) => client.events(scope, shownEvents, name)))
    : [await client.events(scope, 1000, undefined)];
  const wanted = new Set(names);
  const events = lists
    .flat()
    .flatMap((item) => feedEvent(item) ?? [])
    .filter(({ subject }) => wanted.has(subject.split("/")[2] ?? ""))
    .toSorted((a, b) => a.sequence - b.sequence || a.index - b.index)
    .slice(-shownEvents);
  if (events.length === 0) return "";
  const lines = events.map(
    (event) => `  ${ageText(now - Date.parse(event.time)).padStart(7)} ago  ${eventLine(event)}\n`,
  );
  return `\nLast events:\n${lines.join("")}`;
}
