// Makes asyncapi.json out of the table of channels and the schemas: what any NATS client may send and hear.
// `node schemas/asyncapi.mjs` writes it after a build; `--out FILE` writes it elsewhere, which is how the drift test compares.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { channels } from "../dist/services/bus/channels.js";
import { definitions, rootName } from "./load.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const outFlag = process.argv.indexOf("--out");
const out = outFlag > 0 ? process.argv[outFlag + 1] : join(here, "asyncapi.json");
const { version } = JSON.parse(readFileSync(join(here, "../package.json"), "utf8"));

const ref = (path) => ({ $ref: `#/${path}` });
const schemaRef = (name) => ref(`components/schemas/${name}`);

/** Keywords for our generators alone are left out: `tsType` means nothing to others. */
const plain = (node) => {
  if (Array.isArray(node)) return node.map(plain);
  if (node === null || typeof node !== "object") return node;
  return Object.fromEntries(
    Object.entries(node)
      .filter(([key]) => key !== "tsType")
      .map(([key, value]) => [key, plain(value)]),
  );
};

const all = plain(definitions((name) => `#/components/schemas/${name}`, { choices: true }));

/** Names of the definitions that the named ones need, themselves included. */
function needed(names) {
  const found = new Set();
  const visit = (node) => {
    if (Array.isArray(node)) node.forEach(visit);
    else if (node !== null && typeof node === "object") {
      for (const [key, value] of Object.entries(node)) {
        if (key === "$ref" && typeof value === "string") add(value.split("/").at(-1));
        else visit(value);
      }
    }
  };
  const add = (name) => {
    if (found.has(name)) return;
    if (all[name] === undefined) throw new Error(`no schema is named ${name}`);
    found.add(name);
    visit(all[name]);
  };
  names.forEach(add);
  return [...found].toSorted((a, b) => (a < b ? -1 : 1));
}

const messageName = (schema) => (schema === null ? "Anything" : rootName(schema));
const used = new Set(["api-error"]);
for (const { message, reply } of channels) for (const name of [message, reply]) if (name) used.add(name);

const parameters = {
  cluster: "The cluster's name; `default` unless told otherwise.",
  namespace: "A namespace, or `_` for none or all.",
  node: "A node's id.",
  proxy: "A proxy's id.",
  pod: "A pod's name.",
  kind: "What it happened to: workload, service, pod, node …",
  name: "Its name.",
  verb: "What happened.",
  service: "A service's name.",
  shard: "A number from 0.",
  session: "Made by the client.",
  snapshot: "The id of a snapshot.",
  token: "The id of a join token.",
};

const parametersOf = (address) => {
  const names = [...address.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  return Object.fromEntries(
    names.map((name) => {
      if (parameters[name] === undefined) throw new Error(`say in asyncapi.mjs what {${name}} is`);
      return [name, { description: parameters[name] }];
    }),
  );
};

const document = {
  asyncapi: "3.0.0",
  info: {
    title: "Swain",
    version,
    description:
      "Everything Swain does goes over NATS as JSON. Operations are told from the side of whoever sends or hears the message, named by a tag.",
    license: { name: "Apache-2.0" },
  },
  defaultContentType: "application/json",
  servers: { local: { host: "127.0.0.1:4222", protocol: "nats", description: "What `swain up` starts." } },
  channels: {},
  operations: {},
  components: { schemas: {}, messages: { Anything: { payload: { type: "object" } } } },
};

for (const name of needed([...used].map((schema) => rootName(schema)))) document.components.schemas[name] = all[name];
for (const schema of [...used].toSorted()) {
  document.components.messages[rootName(schema)] = { name: schema, payload: schemaRef(rootName(schema)) };
}

const inbox = { address: null, messages: {}, title: "The asker's inbox, named in the message's reply subject." };
for (const { id, address, from, to, message, reply, summary } of channels) {
  const name = messageName(message);
  document.channels[id] = {
    address,
    parameters: parametersOf(address),
    messages: { [name]: ref(`components/messages/${name}`) },
  };
  const operation = {
    action: "send",
    channel: ref(`channels/${id}`),
    summary,
    tags: [{ name: `from ${from}` }, { name: `to ${to}` }],
    messages: [ref(`channels/${id}/messages/${name}`)],
  };
  if (reply !== undefined) {
    const answers = [messageName(reply), "ApiError"];
    for (const answer of answers) inbox.messages[answer] = ref(`components/messages/${answer}`);
    operation.reply = {
      channel: ref("channels/inbox"),
      messages: answers.map((answer) => ref(`channels/inbox/messages/${answer}`)),
    };
  }
  document.operations[id] = operation;
}
document.channels.inbox = inbox;

writeFileSync(out, `${JSON.stringify(document, null, 2)}\n`);
