// pod.logs: asks the pod's node to send its output, and tells the client where it will come.
import { apiError, logsRequest } from "../../../schemas/generated/messages.js";
import { limits } from "../../bus/limits.ts";
import { keyOf } from "../../core/model.ts";
import { SwainError, asSwainError, isCode } from "../../kernel/errors.ts";
import { bodyOf } from "../record.ts";
import { checked, namespaced } from "./request.ts";
import type { Handler } from "./request.ts";

export const logs: Handler = async (host, request) => {
  const body = checked(logsRequest, "logs-request", request.body);
  const namespace = namespaced(request);
  const { bus, subjects } = host.context;
  const pod = host.state.pods.get(keyOf(namespace, body.name));
  if (pod === undefined) throw new SwainError("NOT_FOUND", `There is no pod ${body.name} in namespace ${namespace}.`);
  if (pod.node === null) throw new SwainError("NOT_FOUND", `Pod ${body.name} is on no node yet: ${pod.message}`);
  const { node } = pod;
  const answer = await bus
    .request(subjects.node.command(node, "logs"), { ...body, namespace }, { timeoutMs: limits.commandTimeoutMs })
    .catch((error: unknown) => {
      const { code } = asSwainError(error);
      const silent = code === "NO_LEADER" || code === "TIMEOUT";
      throw silent ? new SwainError("NODE_UNHEARD", `the agent of node ${node} does not answer`) : error;
    });
  const reply = bodyOf(answer);
  if (apiError(reply)) {
    const { code, message } = reply.error;
    throw new SwainError(isCode(code) ? code : "INTERNAL", message);
  }
  return {
    node,
    subject: subjects.node.log(node, pod.name),
    creditSubject: subjects.node.command(node, "logs-credit"),
  };
};
