// Every verb of the API: `api.<namespace or _>.<resource>.<verb>`.
import { apply, remove, removeNode, scale, setMode, undo } from "./changes.ts";
import { deregister, register } from "./endpoints.ts";
import { history } from "./history.ts";
import { listEvents } from "./events.ts";
import { exec } from "./exec.ts";
import { logs } from "./logs.ts";
import { get, list } from "./objects.ts";
import { listProxies } from "./proxies.ts";
import type { Handler } from "./request.ts";
import { rebuild, status } from "./status.ts";
import { topNodes, topPods } from "./top.ts";

export const handlers: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ["manifest.apply", apply],
  ["workload.scale", scale],
  ["workload.undo", undo],
  ["workload.history", history],
  ["workload.delete", remove("workload")],
  ["service.delete", remove("service")],
  ["autoscaler.delete", remove("autoscaler")],
  ["autoscaler.list", list("autoscaler")],
  ["autoscaler.get", get("autoscaler")],
  ["pod.list", list("pod")],
  ["pod.get", get("pod")],
  ["pod.logs", logs],
  ["pod.exec", exec],
  ["pod.top", topPods],
  ["node.top", topNodes],
  ["workload.list", list("workload")],
  ["workload.get", get("workload")],
  ["service.list", list("service")],
  ["service.get", get("service")],
  ["endpoint.register", register],
  ["endpoint.deregister", deregister],
  ["endpoint.list", list("endpoint")],
  ["node.list", list("node")],
  ["node.get", get("node")],
  ["proxy.list", listProxies],
  ["node.cordon", setMode("cordoned")],
  ["node.uncordon", setMode("uncordoned")],
  ["node.drain", setMode("draining")],
  ["node.remove", removeNode],
  ["event.list", listEvents],
  ["cluster.rebuild", rebuild],
  ["cluster.status", status],
]);
