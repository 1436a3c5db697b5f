// pod.logs: asks the pod's node to send its output, and tells the client where it will come.
import { logsRequest } from "../../../schemas/generated/messages.js";
import { askNode, nodeOfPod } from "./node-command.ts";
import { checked, namespaced } from "./request.ts";
import type { Handler } from "./request.ts";

export const logs: Handler = async (host, request) => {
  const body = checked(logsRequest, "logs-request", request.body);
  const namespace = namespaced(request);
  const node = nodeOfPod(host, namespace, body.name);
  await askNode(host, node, "logs", { ...body, namespace });
  const { subjects } = host.context;
  return {
    node,
    subject: subjects.node.log(node, body.name),
    creditSubject: subjects.node.command(node, "logs-credit"),
  };
};
