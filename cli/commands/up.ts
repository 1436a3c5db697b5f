import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { dataFolder } from "../local/layout.ts";
import { wholeNumber } from "../local/numbers.ts";

const maxNodes = 20_000;

export default command({
  name: "up",
  description:
    "Start a whole cluster on this machine: nats-server, controller, agents and proxy, and stay until Ctrl-C. " +
    "State is kept in --data, so a later `swain up` goes on where this one ended.",
  examples: [
    "swain up",
    "swain up --nodes 3 --detach",
    "swain up --listen 10.0.0.5",
    "swain up --nodes 1000 --runtime sim",
    "swain up --server nats://10.0.0.5:4222 --creds admin.creds",
  ],
  args: {
    data: { type: "string", description: "Folder for state, keys and logs (default: SWAIN_DATA or ~/.swain)" },
    cluster: { type: "string", description: "Name of the cluster (default: SWAIN_CLUSTER or default)" },
    nodes: { type: "string", description: "How many nodes this machine is split into", default: "1" },
    controllers: { type: "string", description: "How many controllers; one leads, the others stand by", default: "1" },
    runtime: {
      type: "enum",
      options: ["auto", "docker", "process", "sim"],
      description: "What nodes run; auto takes a container engine when one answers, else plain processes",
      default: "auto",
    },
    engine: {
      type: "string",
      valueHint: "SOCKET",
      description: "Where Docker or Podman listens (default: DOCKER_HOST, CONTAINER_HOST, then the usual sockets)",
    },
    port: {
      type: "string",
      description: "Port of the NATS server (default: the last one, else 4222, else a free one)",
    },
    "nats-server": {
      type: "string",
      description: "Path of a nats-server to use (else SWAIN_NATS_SERVER, PATH, a download)",
    },
    server: { type: "string", description: "Use this NATS server instead of starting one" },
    creds: { type: "string", description: "Credentials for --server, used by all parts" },
    listen: {
      type: "string",
      valueHint: "ADDR",
      description:
        "Address at which other machines reach this cluster: NATS over TLS, and the proxy (default: loopback alone)",
    },
    advertise: {
      type: "string",
      valueHint: "ADDR",
      description: "What other machines call --listen, when it is another address or a name; repeatable",
    },
    "proxy-host": {
      type: "string",
      valueHint: "ADDR",
      description: "Address on which the proxy offers services (default: that of --listen, else 127.0.0.1)",
    },
    insecure: { type: "boolean", description: "With --listen: no TLS; anybody on the network can read and change all" },
    detach: { type: "boolean", description: "Return as soon as everything is ready" },
    restart: {
      type: "boolean",
      description: "Start dead parts again",
      default: true,
      negativeDescription: "Leave dead parts dead",
    },
    restore: {
      type: "string",
      valueHint: "FILE",
      description: "Begin with what is in this file of `swain backup`; the log must be empty",
    },
    "keep-pods": { type: "boolean", description: "Leave the pods running when stopped" },
  },
  run: async (call) => (call.flag("detach") ? detach(call) : stay(call)),
});

/** The same command as a process of its own, which outlives this one; its lines are shown until it is ready. */
async function detach(call: Call): Promise<number> {
  const { startDetached } = await import("../local/detach.ts");
  return startDetached(dataFolder(call.option("data"), call.env), call);
}

async function stay(call: Call): Promise<number> {
  const began = performance.now();
  const { runUp } = await import("../local/up.ts");
  return runUp(
    {
      data: dataFolder(call.option("data"), call.env),
      cluster: call.option("cluster") ?? call.env["SWAIN_CLUSTER"] ?? "default",
      server: call.option("server"),
      creds: call.option("creds"),
      natsServer: call.option("nats-server"),
      port: wholeNumber("port", call.option("port"), 1, 65_535),
      controllers: wholeNumber("controllers", call.option("controllers"), 1, 9) ?? 1,
      nodes: wholeNumber("nodes", call.option("nodes"), 1, maxNodes) ?? 1,
      runtime: call.option("runtime") ?? "auto",
      engine: call.option("engine"),
      keepPods: call.flag("keep-pods"),
      restart: call.flag("restart"),
      restore: call.option("restore"),
      listen: call.option("listen"),
      advertise: call.options("advertise"),
      insecure: call.flag("insecure"),
      proxyHost: call.option("proxy-host") ?? call.option("listen") ?? "127.0.0.1",
    },
    call,
    began,
  );
}
