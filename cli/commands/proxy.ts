import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { namespaceArg, namespaceOf } from "../kinds.ts";
import { withClient } from "../with-client.ts";
import { joinArgs, operateArgs, partArgs, partLog, partPlace, runPart, tellBus } from "../part.ts";

export default command({
  name: "proxy",
  description:
    "Run a proxy in the foreground: it balances TCP connections over the ready pods of services; proxy ls: show all proxies and what they carry",
  examples: [
    "swain proxy --service web --listen 0.0.0.0:8080",
    "swain proxy --service web:http --listen 8080 -n shop",
    "swain proxy --all --listen 0.0.0.0",
    "swain proxy --join TOKEN --all --listen 0.0.0.0",
    "swain proxy ls",
    "swain proxy ls -o wide",
  ],
  args: {
    action: { type: "positional", required: false, description: "ls; left out, a proxy runs" },
    output: { type: "enum", alias: "o", options: ["table", "wide", "json"], description: "Form of the output of ls" },
    service: {
      type: "string",
      valueHint: "NAME",
      description: "A service, or NAME:PORT; repeatable, with a --listen each",
    },
    all: { type: "boolean", description: "Every service of every namespace, each at its own port" },
    listen: {
      type: "string",
      valueHint: "ADDR",
      description: "HOST:PORT or PORT; with --all the host (default: 127.0.0.1)",
    },
    id: { type: "string", valueHint: "ID", description: "The proxy's id (default: from the hostname)" },
    data: { type: "string", valueHint: "DIR", description: "Its folder (default: in SWAIN_DATA or ~/.swain)" },
    ...namespaceArg,
    ...joinArgs,
    ...operateArgs,
    ...partArgs,
  },
  run: proxy,
});

async function proxy(call: Call): Promise<void> {
  const [action] = call.positionals;
  if (action === "ls") {
    const { showProxies } = await import("../show-proxies.ts");
    await withClient(call, (client) => showProxies(call.terminal, client, call.option("output") ?? "table"));
    return;
  }
  if (action !== undefined) throw new SwainError("INVALID_ARGUMENT", `"${action}" is not known here; there is ls`);
  if (call.option("output") !== undefined) throw new SwainError("INVALID_ARGUMENT", "-o is for swain proxy ls");
  call.terminal.dropUnwritable();
  const served = servedOf(call);
  const { settings, folder, id } = await partPlace(call, {
    kind: "proxy",
    role: () => "proxy",
    below: (paths, id) => paths.proxy(id),
  });
  const { startProxy } = await import("../../services/proxy/main.ts");
  const { server, cluster, creds } = settings;
  const onBus = tellBus(call, "what is known of services is served");
  const options = { server, cluster, id, data: folder, log: await partLog(call), onBus, ...served };
  const start = (): ReturnType<typeof startProxy> => startProxy(creds === undefined ? options : { ...options, creds });
  await runPart(call, start, (running) => {
    const where = running.listening().map(({ service, address, port }) => `${service}=${address}:${port}`);
    return ["proxy", id, "cluster", cluster, ...where].join(" ");
  });
}

type Served =
  | { readonly all: { readonly host?: string } }
  | { readonly services: { namespace: string; name: string; listen: string }[] };

function servedOf(call: Call): Served {
  const names = call.options("service");
  const listens = call.options("listen");
  if (call.flag("all")) {
    if (names.length > 0) throw new SwainError("INVALID_ARGUMENT", "--all and --service exclude each other");
    const host = listens.at(-1);
    return { all: host === undefined ? {} : { host } };
  }
  if (names.length === 0) throw new SwainError("INVALID_ARGUMENT", "say what to serve: --service NAME, or --all");
  if (names.length !== listens.length) {
    throw new SwainError("INVALID_ARGUMENT", "each --service needs its own --listen, in the same order");
  }
  const namespace = namespaceOf(call);
  return { services: names.map((name, index) => ({ namespace, name, listen: listens[index] ?? "" })) };
}
