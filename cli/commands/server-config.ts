import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";

export default command({
  name: "server-config",
  description:
    "Write the configuration of a nats-server of your own: a user for each role, with its key and its rights",
  examples: [
    "swain server-config --keys /etc/swain --node web1 --node web2 --out /etc/swain/nats-server.conf",
    "swain server-config --keys /etc/swain --node web3 --out /etc/swain/nats-server.conf",
    "swain server-config --keys ./keys --node web1 --listen 0.0.0.0:4222",
  ],
  args: {
    keys: {
      type: "string",
      valueHint: "DIR",
      description: "Folder of the keys; those that are there are kept, and their nodes entered",
    },
    node: { type: "string", valueHint: "ID", description: "A node whose agent gets a key; repeatable" },
    out: { type: "string", valueHint: "FILE", description: "Where it is written (default: standard output)" },
    listen: { type: "string", valueHint: "ADDR", description: "HOST:PORT or PORT (default: 127.0.0.1:4222)" },
    store: { type: "string", valueHint: "DIR", description: "Folder of the log (default: /var/lib/swain-nats)" },
    cluster: { type: "string", valueHint: "NAME", description: "Name of the cluster (default: default)" },
  },
  run: serverConfig,
});

async function serverConfig(call: Call): Promise<void> {
  const keys = call.option("keys");
  if (keys === undefined) throw new SwainError("INVALID_ARGUMENT", "say where the keys are kept: --keys DIR");
  const nodes = call.options("node");
  const wrong = nodes.find((id) => !isId(id));
  if (wrong !== undefined) {
    throw new SwainError("INVALID_ARGUMENT", `"${wrong}" is no id: lower-case letters, digits and hyphens, at most 63`);
  }
  const { listenAddress } = await import("../../services/kernel/listen-address.ts");
  const { configText } = await import("../../services/bus/embedded/config.ts");
  const { ensureUsers } = await import("../../services/bus/embedded/keys.ts");
  const { systemDisk } = await import("../../services/kernel/node/disk.ts");
  const { naturally } = await import("../natural.ts");
  const { host, port } = listenAddress(call.option("listen") ?? "4222", "--listen");
  const agents = [...new Set([...nodesOf(await systemDisk.list(keys)), ...nodes])].toSorted(naturally);
  const users = await ensureUsers(systemDisk, keys, [
    "controller",
    "operator",
    "proxy",
    ...agents.map((id) => `agent-${id}` as const),
  ]);
  const text = configText({
    cluster: call.option("cluster") ?? "default",
    host,
    port,
    store: call.option("store") ?? "/var/lib/swain-nats",
    // What runs on a server of one's own is a current one; one before 2.10 refuses the line, and says so.
    syncAlways: true,
    users,
  }).replace(/^# Written by .*\n/, "# Written by swain server-config. Keys here are public halves.\n");
  const out = call.option("out");
  if (out === undefined) return call.terminal.out(text);
  await systemDisk.writeAtomic(out, text);
  const whose = agents.length === 0 ? "no node" : `the nodes ${agents.join(", ")}`;
  call.terminal.err(`${out} is written for ${whose}, and the keys are in ${keys}\n`);
}

const isId = (text: string): boolean => /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text);

/** The nodes that have a key in that folder: without them the new configuration would shut them out. */
function nodesOf(files: readonly string[]): string[] {
  return files.map((name) => /^agent-(.+)\.nk$/.exec(name)?.[1] ?? "").filter(isId);
}
