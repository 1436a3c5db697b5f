// cluster.status: one look at the cluster and at the controller that leads it. cluster.rebuild: what follows from the log is
// made anew.
import type { Handler } from "./request.ts";

export const rebuild: Handler = async ({ state, context, rebuild: begin }) => {
  context.log.info("projections and snapshot are made anew, as asked");
  begin();
  return { epoch: state.epoch, sequence: state.sequence, results: [] };
};

export const status: Handler = async (host) => {
  const { state, context } = host;
  const unknown = [...state.nodes.values()].filter((node) => node.state === "unknown").length;
  return {
    cluster: context.cluster,
    clusterUid: state.clusterUid,
    logId: state.logId,
    epoch: state.epoch,
    sequence: state.sequence,
    leader: state.leader,
    foreign: state.foreign,
    nodes: state.nodes.size,
    nodesUnknown: unknown,
    workloads: state.workloads.size,
    services: state.services.size,
    autoscalers: state.autoscalers.size,
    pods: state.pods.size,
    server: context.bus.features.version,
    production: context.bus.features.production,
    counters: { ...context.counters },
    ...host.status(),
  };
};
