import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { isHost } from "../local/addresses.ts";
import { wholeNumber } from "../local/numbers.ts";
import { runtimes } from "../local/runtime.ts";
import type { RuntimeChoice } from "../local/runtime.ts";
import { joinArgs, operateArgs, partArgs, partLog, partPlace, runPart, tellBus } from "../part.ts";

export default command({
  name: "agent",
  description: "Run an agent in the foreground: it makes this machine a node",
  examples: [
    "swain agent --join TOKEN",
    "swain agent --server nats://10.0.0.5:4222 --creds agent-web1.nk --id web1",
    "swain agent --runtime process --label disk=ssd --label zone=a",
    "swain agent --runtime sim --nodes 1000 --id sim",
  ],
  args: {
    id: { type: "string", valueHint: "ID", description: "The node's id (default: from the hostname)" },
    runtime: {
      type: "enum",
      options: [...runtimes],
      description: "What runs pods (default: auto, a container engine if one answers, else plain processes)",
    },
    engine: {
      type: "string",
      valueHint: "SOCKET",
      description: "Where Docker or Podman listens (default: DOCKER_HOST, CONTAINER_HOST, then the usual sockets)",
    },
    data: { type: "string", valueHint: "DIR", description: "Its folder (default: in SWAIN_DATA or ~/.swain)" },
    advertise: { type: "string", valueHint: "ADDR", description: "The address other nodes reach (default: detected)" },
    label: { type: "string", valueHint: "KEY=VALUE", description: "A label for node selectors; repeatable" },
    split: { type: "string", valueHint: "N", description: "Agents that share this machine, this one included" },
    nodes: {
      type: "string",
      valueHint: "N",
      description: "Simulated nodes in this process; their ids are ID-1 … ID-N",
    },
    "stop-pods": {
      type: "boolean",
      description: "Stop and remove the pods when the agent is stopped, those that take longer than 45 s by force",
    },
    ...joinArgs,
    ...operateArgs,
    ...partArgs,
  },
  run: agent,
});

const maxNodes = 20_000;
const maxSplit = 1000;

async function agent(call: Call): Promise<void> {
  call.terminal.dropUnwritable();
  const nodes = wholeNumber("nodes", call.option("nodes"), 1, maxNodes) ?? 1;
  const split = wholeNumber("split", call.option("split"), 1, maxSplit) ?? 1;
  const labels = labelsOf(call.options("label"));
  const advertise = call.option("advertise");
  if (advertise !== undefined && !isHost(advertise)) {
    throw new SwainError(
      "INVALID_ARGUMENT",
      `"${advertise}" is no address for --advertise: an IP or a name, without a port`,
    );
  }
  const wanted = (call.option("runtime") as RuntimeChoice | undefined) ?? "auto";
  if (nodes > 1 && call.option("join") !== undefined) {
    throw new SwainError("INVALID_ARGUMENT", "--nodes and --join exclude each other: each node joins by itself");
  }
  const { settings, folder, id } = await partPlace(call, {
    kind: "agent",
    role: (id) => (nodes > 1 ? "nodes" : `agent-${id}`),
    below: (paths, id) => paths.node(id),
  });
  const { chooseRuntime } = await import("../local/runtime.ts");
  const engine = call.option("engine");
  const { runtime, reason } = wanted === "auto" ? await chooseRuntime(wanted, engine) : { runtime: wanted, reason: "" };
  if (reason !== "") call.terminal.err(`runtime ${runtime}: ${reason}\n`);
  const { startAgent } = await import("../../services/agent/main.ts");
  const { server, cluster, creds } = settings;
  const log = await partLog(call);
  const start = (): ReturnType<typeof startAgent> =>
    startAgent({
      server,
      cluster,
      id,
      runtime,
      data: folder,
      split,
      nodes,
      labels,
      log,
      onBus: tellBus(call, "pods of this node are looked after"),
      stopPods: call.flag("stop-pods"),
      ...(creds === undefined ? {} : { creds }),
      ...(engine === undefined ? {} : { engine }),
      ...(advertise === undefined ? {} : { advertise }),
    });
  await runPart(call, start, () => `agent ${id} cluster ${cluster} runtime ${runtime} nodes ${nodes}`);
}

const labelKey = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

/** `disk=ssd` of each --label. Throws INVALID_ARGUMENT. */
function labelsOf(given: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const text of given) {
    const at = text.indexOf("=");
    const [key, value] = [text.slice(0, at), text.slice(at + 1)];
    if (at < 0 || !labelKey.test(key) || !labelValue.test(value)) {
      throw new SwainError("INVALID_ARGUMENT", `"${text}" is no label: write KEY=VALUE`);
    }
    labels[key] = value;
  }
  return labels;
}
