// What a schema cannot see in the sandbox fields of a workload: settings that undo or exclude each other.
import type { ManifestProblem } from "./manifest-problem.ts";
import { at, duplicates, entries, fieldsOf, quantityOf } from "./manifest-place.ts";
import type { Place } from "./manifest-place.ts";
import { maxMemoryBytes, parseMemoryBytes } from "./quantity.ts";

/** Problems of the network, hosts and dns of the workload of that name. */
export function networkMeaning(spec: Place, ownName: unknown): ManifestProblem[] {
  const network = at(spec, "network");
  const { mode, workload } = fieldsOf(network.value);
  const problems: ManifestProblem[] = [
    ...entries(at(spec, "hosts")).flatMap((host) => address(at(host, "ip"))),
    ...entries(at(at(spec, "dns"), "servers")).flatMap(address),
  ];
  if (mode === "pod" && workload === undefined) {
    problems.push({
      ...network,
      code: "REQUIRED",
      message: "workload is missing: whose pods' network is to be shared",
    });
  }
  if (typeof mode === "string" && mode !== "pod" && workload !== undefined) {
    problems.push(bad(at(network, "workload"), "only mode pod shares the network of another workload"));
  }
  if (mode === "pod" && workload !== undefined && workload === ownName) {
    problems.push(bad(at(network, "workload"), "a pod cannot share its own network"));
  }
  if (mode === "host" || mode === "none" || mode === "pod") {
    for (const field of ["hosts", "dns"]) {
      const place = at(spec, field);
      if (place.value !== undefined)
        problems.push(bad(place, `a pod with network mode ${mode} has no settings of its own for this`));
    }
  }
  const ports = entries(at(spec, "containers")).flatMap((container) => entries(at(container, "ports")));
  return [...problems, ...ports.flatMap((port) => portMeaning(port, mode))];
}

function portMeaning(port: Place, mode: unknown): ManifestProblem[] {
  if (mode === "none") return [bad(port, "a pod without a network has no ports")];
  if (mode === "pod") return [bad(port, "the ports of a shared network are declared by the workload that owns it")];
  const { containerPort, hostPort } = fieldsOf(port.value);
  const differs = containerPort !== undefined && hostPort !== undefined && hostPort !== containerPort;
  if (mode !== "host" || !differs) return [];
  return [
    bad(at(port, "hostPort"), "on the node's own network a port is the same inside and outside; leave hostPort out"),
  ];
}

/** Problems of one container's rights, mounts, limits and devices. */
export function sandboxMeaning(container: Place): ManifestProblem[] {
  const mounts = [...entries(at(container, "volumes")), ...entries(at(container, "tmpfs"))];
  return [
    ...duplicates(mounts.map(plainMount), "mountPath", "something is mounted there already"),
    ...entries(at(container, "tmpfs")).flatMap(overRoot),
    ...duplicates(entries(at(container, "ulimits")), "name", "this limit is set already"),
    ...duplicates(entries(at(container, "devices")), "hostPath", "this device is there already"),
    ...securityMeaning(at(container, "security")),
    ...entries(at(container, "ulimits")).flatMap(ulimitMeaning),
    ...cpuSetMeaning(at(at(container, "resources"), "cpuSet")),
    ...size(at(container, "shmSize")),
    ...entries(at(container, "tmpfs")).flatMap((mount) => size(at(mount, "size"))),
  ];
}

/** `/a/` and `/a//` are `/a`. */
const plainPath = (path: string): string => path.replace(/\/+/g, "/").replace(/(?<=.)\/$/, "");

function plainMount(mount: Place): Place {
  const { mountPath } = fieldsOf(mount.value);
  return typeof mountPath === "string" ? { path: mount.path, value: { mountPath: plainPath(mountPath) } } : mount;
}

/** A folder in memory in place of the root would hide the image, program and all. */
function overRoot(mount: Place): ManifestProblem[] {
  const place = at(mount, "mountPath");
  const root = typeof place.value === "string" && plainPath(place.value) === "/";
  return root ? [bad(place, "this would hide the whole image; name a folder below the root")] : [];
}

/** The largest number of a user or group that container engines take. */
const mostId = 2 ** 31 - 1;

/** A name, a number or `user:group`. */
function identity(place: Place): ManifestProblem[] {
  const { value } = place;
  const ids = typeof value === "string" ? value.split(":") : [value];
  // A name is not a number, and so is never above one.
  const over = ids.some((id) => Number(id) > mostId);
  const message = `the number of a user or group must be at most ${mostId}`;
  return over ? [{ ...place, code: "OUT_OF_RANGE", message }] : [];
}

const capabilitiesOf = (list: Place): string[] =>
  entries(list).flatMap(({ value }) => (typeof value === "string" ? [value] : []));

function securityMeaning(security: Place): ManifestProblem[] {
  const { privileged, noNewPrivileges } = fieldsOf(security.value);
  const [add, drop] = [at(at(security, "capabilities"), "add"), at(at(security, "capabilities"), "drop")];
  const added = new Set(capabilitiesOf(add));
  const problems = entries(drop)
    .filter(({ value }) => added.has(String(value)))
    .map((place) => bad(place, "this capability is both added and dropped"));
  for (const place of [...entries(add), ...entries(drop)]) {
    if (String(place.value).startsWith("CAP_")) problems.push(bad(place, "capabilities are written without CAP_"));
  }
  problems.push(...[at(security, "user"), ...entries(at(security, "groups"))].flatMap(identity));
  if (privileged !== true) return problems;
  const undone = [
    { place: drop, set: drop.value !== undefined },
    { place: at(security, "seccomp"), set: at(security, "seccomp").value !== undefined },
    { place: at(security, "noNewPrivileges"), set: noNewPrivileges === true },
  ];
  for (const { place, set } of undone)
    if (set) problems.push(bad(place, "privileged grants what this would take away"));
  return problems;
}

function ulimitMeaning(limit: Place): ManifestProblem[] {
  const { soft, hard } = fieldsOf(limit.value);
  if (typeof soft !== "number" || typeof hard !== "number" || hard === -1) return [];
  return soft === -1 || soft > hard ? [bad(at(limit, "soft"), `the soft limit is above the hard one of ${hard}`)] : [];
}

function cpuSetMeaning(place: Place): ManifestProblem[] {
  if (typeof place.value !== "string") return [];
  const reversed = place.value.split(",").find((part) => {
    const [first = "", last = first] = part.split("-");
    return Number(first) > Number(last);
  });
  return reversed === undefined ? [] : [bad(place, `the range ${reversed} ends before it begins`)];
}

function size(place: Place): ManifestProblem[] {
  const bytes = quantityOf(place.value, parseMemoryBytes);
  if (bytes === undefined || (bytes > 0 && bytes <= maxMemoryBytes)) return [];
  return [{ ...place, code: "OUT_OF_RANGE", message: "a size must be above 0 and at most 1 PiB" }];
}

const v4 = /^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.(?!$)|$)){4}$/;

/** IPv6 in any of its forms is left to the engine, but for what is none at all. */
function address(place: Place): ManifestProblem[] {
  const { value } = place;
  if (typeof value !== "string" || v4.test(value) || /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(value))
    return [];
  return [bad(place, "this is no IPv4 or IPv6 address")];
}

const bad = (place: Place, message: string): ManifestProblem => ({ ...place, code: "BAD_VALUE", message });
