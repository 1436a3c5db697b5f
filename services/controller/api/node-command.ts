// What pod.logs and pod.exec share: which node a pod is on, and asking that node's agent.
import { apiError } from "../../../schemas/generated/messages.js";
import { limits } from "../../bus/limits.ts";
import { keyOf } from "../../core/model.ts";
import { SwainError, asSwainError, isCode } from "../../kernel/errors.ts";
import { bodyOf } from "../record.ts";
import type { ApiHost } from "./request.ts";

/** The node of a pod. Throws NOT_FOUND. */
export function nodeOfPod(host: ApiHost, namespace: string, name: string): string {
  const pod = host.state.pods.get(keyOf(namespace, name));
  if (pod === undefined) throw new SwainError("NOT_FOUND", `There is no pod ${name} in namespace ${namespace}.`);
  if (pod.node === null) throw new SwainError("NOT_FOUND", `Pod ${name} is on no node: ${pod.message}`);
  return pod.node;
}

/** Sends a command and waits for the agent's answer. Rejects with NODE_UNHEARD, or with what the agent says. */
export async function askNode({ context }: ApiHost, node: string, verb: string, body: object): Promise<void> {
  const { bus, subjects } = context;
  const answer = await bus
    .request(subjects.node.command(node, verb), body, { timeoutMs: limits.commandTimeoutMs })
    .catch((error: unknown) => {
      const { code } = asSwainError(error);
      const silent = code === "NO_LEADER" || code === "TIMEOUT";
      throw silent ? new SwainError("NODE_UNHEARD", `the agent of node ${node} does not answer`) : error;
    });
  const reply = bodyOf(answer);
  if (!apiError(reply)) return;
  const { code, message } = reply.error;
  throw new SwainError(isCode(code) ? code : "INTERNAL", message);
}
