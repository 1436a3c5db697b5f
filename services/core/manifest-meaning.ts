// What a schema cannot see in a manifest: names given twice, limits below requests, fields that mean nothing together.
// The document may be malformed anywhere (the schema says so beside this), so every part is read with care.
import { fencing } from "./fence.ts";
import { hasCredentials, imageFault, noCredentials } from "./image.ts";
import type { ManifestProblem } from "./manifest-problem.ts";
import { at, duplicates, entries, fieldsOf, quantityOf } from "./manifest-place.ts";
import type { Place } from "./manifest-place.ts";
import { networkMeaning, sandboxMeaning } from "./manifest-sandbox.ts";
import { maxDurationMs, maxMemoryBytes, parseCpuMillis, parseDurationMs, parseMemoryBytes } from "./quantity.ts";
import { leastIntervalMs, mostTimeoutMs } from "./readiness.ts";

/** Problems of a Workload that its schema does not find. */
export function workloadMeaning(document: object): ManifestProblem[] {
  const spec = at({ path: "", value: document }, "spec");
  const containers = entries(at(spec, "containers"));
  const ports = containers.flatMap((container) => entries(at(container, "ports")));
  return [
    ...["lostAfter", "stopGracePeriod", "drainTimeout", "progressDeadline"].flatMap((field) =>
      longDuration(at(spec, field)),
    ),
    ...bounded(at(spec, "lostAfter"), leastLostMs, maxDurationMs, leastLostWords),
    ...(at(spec, "fence").value === true
      ? bounded(at(spec, "lostAfter"), fencing.leastLeaseMs, maxDurationMs, leastLeaseWords, leastLostMs)
      : []),
    ...duplicates(containers, "name", "a container of this name is there already"),
    // The containers of a pod share one network, so ports are unique over all of them.
    ...duplicates(ports, "name", "a port of this name is there already; names are unique within a pod"),
    ...duplicates(
      ports,
      "containerPort",
      "this containerPort is taken already; the containers of a pod share a network",
    ),
    ...duplicates(ports, "hostPort", "this hostPort is taken already by another port of the pod"),
    ...containers.flatMap(containerMeaning),
    ...containers.flatMap(sandboxMeaning),
    ...networkMeaning(spec, at(at({ path: "", value: document }, "metadata"), "name").value),
    ...containers.flatMap((container) => readinessMeaning(at(container, "readiness"), spec)),
  ];
}

/** Nodes give a sign of life each second: after less than this every one of them would be given up all the time. */
const leastLostMs = 1000;
const leastLostWords = "at least 1s, because nodes give a sign of life each second";
const leastLeaseWords = `at least ${fencing.leastLeaseMs / 1000}s with fence, because a change of leader takes up to 5s`;

function containerMeaning(container: Place): ManifestProblem[] {
  const fields = fieldsOf(container.value);
  const problems: ManifestProblem[] = [
    ...duplicates(entries(at(container, "env")), "name", "this variable is set already"),
    ...["pullDelay", "startDelay", "readyDelay", "exitAfter"].flatMap((field) =>
      longDuration(at(at(container, "sim"), field)),
    ),
    ...resourcesMeaning(at(container, "resources")),
    ...imageMeaning(at(container, "image")),
    ...[at(container, "command"), at(at(container, "process"), "command")].flatMap(withProgram),
    ...[at(container, "command"), at(container, "args"), at(at(container, "process"), "command")].flatMap((list) =>
      entries(list).flatMap(withoutNul),
    ),
    ...entries(at(container, "env")).flatMap((variable) => withoutNul(at(variable, "value"))),
  ];
  if (fields.image === undefined) {
    // Without an image these would be passed over in silence.
    const unused =
      fields.process === undefined ? [] : ["command", "args"].filter((field) => fields[field] !== undefined);
    const message = "this is for an image; the program of a process goes under process.command";
    return problems.concat(unused.map((field) => ({ ...at(container, field), code: "BAD_VALUE" as const, message })));
  }
  for (const port of entries(at(container, "ports"))) {
    if (fieldsOf(port.value).containerPort === undefined) {
      const message = "containerPort is missing: the port on which the program in the image listens";
      problems.push({ path: port.path, code: "REQUIRED", message });
    }
  }
  return problems;
}

/** `spec` is the workload's: a check may name a port of any container of the pod, since they share a network. */
function readinessMeaning(readiness: Place, spec: Place): ManifestProblem[] {
  if (readiness.value === undefined) return [];
  const names = entries(at(spec, "containers"))
    .flatMap((container) => entries(at(container, "ports")))
    .map((port) => fieldsOf(port.value).name)
    .filter((name) => typeof name === "string");
  const problems: ManifestProblem[] = [];
  for (const kind of ["http", "tcp"]) {
    const port = at(at(readiness, kind), "port");
    if (typeof port.value !== "string" || names.includes(port.value)) continue;
    const known = names.length === 0 ? "the pod declares no port" : `declared are ${names.join(", ")}`;
    problems.push({ ...port, code: "BAD_VALUE", message: `no port of this name is declared; ${known}` });
  }
  if (fieldsOf(at(spec, "network").value).mode === "none") {
    const message = "a pod without a network cannot be reached by a check";
    problems.push({ ...readiness, code: "BAD_VALUE", message });
  }
  const interval = at(readiness, "interval");
  const timeout = at(readiness, "timeout");
  return [
    ...problems,
    ...["initialDelay", "interval", "timeout"].flatMap((field) => longDuration(at(readiness, field))),
    ...bounded(interval, leastIntervalMs, maxDurationMs, `at least ${leastIntervalMs}ms`),
    ...bounded(timeout, 1, mostTimeoutMs, `above 0 and at most ${mostTimeoutMs / 1000}s`),
  ];
}

/** Below `from` another rule speaks. */
function bounded(place: Place, least: number, most: number, words: string, from = 0): ManifestProblem[] {
  const ms =
    typeof place.value === "string" ? quantityOf(place.value, (text) => parseDurationMs(String(text))) : undefined;
  // What is longer than any duration may be is told by `longDuration`.
  if (ms === undefined || ms < from || ms > maxDurationMs || (ms >= least && ms <= most)) return [];
  return [{ ...place, code: "OUT_OF_RANGE", message: `must be ${words}` }];
}

function imageMeaning(place: Place): ManifestProblem[] {
  // Told without the value: problems are shown and kept.
  if (typeof place.value === "string" && hasCredentials(place.value)) {
    return [{ path: place.path, code: "BAD_VALUE", message: `image must be an image reference: ${noCredentials}` }];
  }
  const fault = typeof place.value === "string" ? imageFault(place.value) : undefined;
  return fault === undefined
    ? []
    : [{ ...place, code: "BAD_VALUE", message: `image must be an image reference: ${fault}` }];
}

/** The first word of a command line names the program. */
function withProgram(command: Place): ManifestProblem[] {
  const [program] = entries(command);
  if (program?.value !== "") return [];
  return [{ ...program, code: "BAD_VALUE", message: "the program is missing: the first entry names it" }];
}

/** Systems end words of a command line and variables at a NUL, so none can hold one. */
function withoutNul(place: Place): ManifestProblem[] {
  const holds = typeof place.value === "string" && place.value.includes("\0");
  return holds ? [{ ...place, code: "BAD_VALUE", message: "a NUL character cannot be passed to a program" }] : [];
}

function resourcesMeaning(resources: Place): ManifestProblem[] {
  const problems: ManifestProblem[] = [];
  const parsers = { cpu: parseCpuMillis, memory: parseMemoryBytes };
  for (const [name, parse] of Object.entries(parsers)) {
    const request = at(at(resources, "requests"), name);
    const limit = at(at(resources, "limits"), name);
    const requested = quantityOf(request.value, parse);
    const limited = quantityOf(limit.value, parse);
    if (name === "memory") {
      const tooMuch = "memory must be at most 1 PiB";
      if ((requested ?? 0) > maxMemoryBytes) problems.push({ ...request, code: "OUT_OF_RANGE", message: tooMuch });
      if ((limited ?? 0) > maxMemoryBytes) problems.push({ ...limit, code: "OUT_OF_RANGE", message: tooMuch });
    }
    if (requested !== undefined && limited !== undefined && limited < requested) {
      const message = `the limit of ${name} is below its request of ${String(request.value)}`;
      problems.push({ ...limit, code: "BAD_VALUE", message });
    }
    if (limited === 0) {
      problems.push({
        ...limit,
        code: "OUT_OF_RANGE",
        message: `the limit of ${name} must be above 0; leave it out for none`,
      });
    }
  }
  return problems;
}

function longDuration(place: Place): ManifestProblem[] {
  const ms =
    typeof place.value === "string" ? quantityOf(place.value, (text) => parseDurationMs(String(text))) : undefined;
  return ms === undefined || ms <= maxDurationMs
    ? []
    : [{ ...place, code: "OUT_OF_RANGE", message: "a duration must be at most 480h (20 days)" }];
}

/** Problems of a Service that its schema does not find. */
export function serviceMeaning(document: object): ManifestProblem[] {
  const spec = at({ path: "", value: document }, "spec");
  const ports = entries(at(spec, "ports"));
  // A port without a name is named after its number, so the two must not collide.
  const named = ports.map((port) => {
    const { name, port: number } = fieldsOf(port.value);
    return { path: port.path, value: { name: name ?? (typeof number === "number" ? String(number) : undefined) } };
  });
  return [
    ...duplicates(ports, "port", "this port is there already"),
    ...duplicates(named, "name", "a port of this name is there already"),
    ...trafficMeaning(spec),
  ];
}

/** A check or an ejection shorter than this would cost the machine more than it tells. */
const shortestMs = 100;

function trafficMeaning(spec: Place): ManifestProblem[] {
  const check = at(spec, "check");
  const times = [at(check, "interval"), at(check, "timeout"), at(at(spec, "ejection"), "for")];
  const problems = times.flatMap((time) => [...longDuration(time), ...shortDuration(time)]);
  const path = at(check, "path");
  if (fieldsOf(check.value).type === "tcp" && path.value !== undefined) {
    problems.push({ ...path, code: "BAD_VALUE", message: "a path is for checks of type http" });
  }
  const balance = at(spec, "balance");
  if (balance.value === "least-connections" && fieldsOf(spec.value).sticky === "source") {
    const message = "with sticky: source the client's address decides, so balance has no say; leave one of them out";
    problems.push({ ...balance, code: "BAD_VALUE", message });
  }
  return problems;
}

/** Problems of an Autoscaler that its schema does not find. */
export function autoscalerMeaning(document: object): ManifestProblem[] {
  const spec = at({ path: "", value: document }, "spec");
  const least = at(spec, "minReplicas").value;
  const most = at(spec, "maxReplicas");
  const problems: ManifestProblem[] = [
    at(spec, "cooldown"),
    at(at(spec, "scaleUp"), "window"),
    at(at(spec, "scaleDown"), "window"),
  ].flatMap(longDuration);
  if (typeof least === "number" && typeof most.value === "number" && least > most.value) {
    problems.push({ ...most, code: "OUT_OF_RANGE", message: `maxReplicas must not be below minReplicas of ${least}` });
  }
  return problems;
}

function shortDuration(place: Place): ManifestProblem[] {
  const ms =
    typeof place.value === "string" ? quantityOf(place.value, (text) => parseDurationMs(String(text))) : undefined;
  return ms === undefined || ms >= shortestMs
    ? []
    : [{ ...place, code: "OUT_OF_RANGE", message: `this must be at least ${shortestMs}ms` }];
}
