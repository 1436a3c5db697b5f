// Containers behind the agent's back.
import type { Cluster } from "../support/cluster.ts";
import type { TestEngine } from "../support/docker.ts";

/** The container of each pod of this workload, and its first process. */
export async function containersOf(
  cluster: Cluster,
  engine: TestEngine,
  workload: string,
): Promise<Map<string, { id: string; pid: number }>> {
  const pods = (await cluster.pods()).filter(({ spec }) => spec.workload === workload);
  const ids = pods.flatMap(({ metadata, status }) =>
    (status.containers ?? []).map(({ id }) => [metadata.name, id] as const),
  );
  const inspected = ids.map(async ([pod, id]) => {
    const { Pid: pid } = (await engine.api.getContainer(id).inspect()).State;
    return [pod, { id, pid }] as const;
  });
  return new Map(await Promise.all(inspected));
}
