// pod.exec: has the pod's node run a program, and tells the client where its output and its input go. Nothing of it is in
// the log: it changes no object. That it was asked for is a line of this controller's own log, without its arguments.
import { execRequest } from "../../../schemas/generated/messages.js";
import { asSwainError } from "../../kernel/errors.ts";
import { askNode, nodeOfPod } from "./node-command.ts";
import { checked, namespaced } from "./request.ts";
import type { Handler } from "./request.ts";

export const exec: Handler = async (host, request) => {
  const body = checked(execRequest, "exec-request", request.body);
  const namespace = namespaced(request);
  const node = nodeOfPod(host, namespace, body.name);
  const { subjects, log } = host.context;
  const { session, container, tty = false } = body;
  const asked = { pod: `${namespace}/${body.name}`, container, node, session, program: body.command[0], tty };
  try {
    await askNode(host, node, "exec", { ...body, namespace, epoch: host.state.epoch });
  } catch (error) {
    log.warn("a program was asked for in a pod, and refused", { ...asked, code: asSwainError(error).code });
    throw error;
  }
  log.info("a program was asked for in a pod", asked);
  return {
    node,
    outputSubject: subjects.node.execOutput(node, session),
    inputSubject: subjects.node.execInput(node, session),
  };
};
