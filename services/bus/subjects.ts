// Every subject, stream and bucket name of Swain. Nothing else spells one.

/** Makes the names of one cluster. */
export function subjectsOf(cluster: string) {
  const root = `swain.${cluster}`;
  const node = (id: string): string => `${root}.node.${id}`;
  const proxy = (id: string): string => `${root}.proxy.${id}`;
  return {
    root,
    /** `api.<ns or _>.<resource>.<verb>` */
    api: (namespace: string, resource: string, verb: string): string => `${root}.api.${namespace}.${resource}.${verb}`,
    apiAll: `${root}.api.>`,
    event: (kind: string, namespace: string | undefined, name: string, verb: string): string =>
      `${root}.event.${kind}.${namespace ?? "_"}.${name}.${verb}`,
    eventBatch: `${root}.event.cluster._.${cluster}.batch`,
    eventAll: `${root}.event.>`,
    /** Of the log while a backup is written into it (`restoring.ts`). Nobody publishes on it. */
    restoring: `${root}.restoring`,
    feed: (namespace: string | undefined, kind: string, name: string, verb: string): string =>
      `${root}.feed.${namespace ?? "_"}.${kind}.${name}.${verb}`,
    feedAll: `${root}.feed.>`,
    leader: `${root}.leader`,
    node: {
      all: (id: string): string => `${node(id)}.>`,
      command: (id: string, verb: string): string => `${node(id)}.cmd.${verb}`,
      commandAll: (id: string): string => `${node(id)}.cmd.*`,
      sync: (id: string): string => `${node(id)}.sync`,
      report: (id: string): string => `${node(id)}.report`,
      heartbeat: (id: string): string => `${node(id)}.heartbeat`,
      lease: (id: string): string => `${node(id)}.lease`,
      metrics: (id: string): string => `${node(id)}.metrics`,
      log: (id: string, pod: string): string => `${node(id)}.log.${pod}`,
      /** What a program run in a pod prints, and what it reads. */
      execOutput: (id: string, session: string): string => `${node(id)}.exec.${session}.out`,
      execInput: (id: string, session: string): string => `${node(id)}.exec.${session}.in`,
      inbox: (id: string): string => `${node(id)}.inbox.`,
    },
    proxy: {
      all: (id: string): string => `${proxy(id)}.>`,
      heartbeat: (id: string): string => `${proxy(id)}.heartbeat`,
      metrics: (id: string): string => `${proxy(id)}.metrics`,
      inbox: (id: string): string => `${proxy(id)}.inbox.`,
    },
    /** How machines join: asked of the registrar of `swain up`, by tokens and by operators. */
    join: {
      ask: (token: string): string => `${root}.join.ask.${token}`,
      inbox: (token: string): string => `${root}.join.inbox.${token}.`,
      token: `${root}.join.token`,
    },
    /** Where the endpoints bucket is republished: `endpoints.<ns>.<service>.<part>`. */
    endpoints: (namespace: string, service: string): string => `${root}.endpoints.${namespace}.${service}.*`,
    endpointsAll: `${root}.endpoints.>`,
    stream: `SWAIN_${cluster}_EVENTS`,
    /** Snapshots of the folded log, in a stream of their own: the parts of each under one id. */
    snapshot: (id: string, part: "chunk" | "manifest" | ">"): string => `${root}.snapshot.${id}.${part}`,
    snapshotAll: `${root}.snapshot.>`,
    snapshots: `SWAIN_${cluster}_SNAPSHOTS`,
    buckets: {
      desired: `swain_${cluster}_desired`,
      workloads: `swain_${cluster}_workloads`,
      nodes: `swain_${cluster}_nodes`,
      pods: `swain_${cluster}_pods`,
      endpoints: `swain_${cluster}_endpoints`,
    },
  } as const;
}

export type Subjects = ReturnType<typeof subjectsOf>;
export type BucketName = keyof Subjects["buckets"];

/** The order in which projections are written: what proxies wait for comes first. */
export const bucketOrder: readonly BucketName[] = ["endpoints", "desired", "workloads", "nodes", "pods"];

/** Keys of the buckets. */
export const keys = {
  desired: (kind: string, namespace: string, name: string): string => `${kind.toLowerCase()}.${namespace}.${name}`,
  workload: (namespace: string, name: string): string => `${namespace}.${name}`,
  node: (id: string): string => id,
  pod: (namespace: string, name: string): string => `${namespace}.${name}`,
  endpointsHead: (namespace: string, service: string): string => `${namespace}.${service}.head`,
  endpointsShard: (namespace: string, service: string, shard: number): string => `${namespace}.${service}.${shard}`,
};

/** Whether a bucket can hold it as a key. More can be published below its subject, by hand. */
export const isKey = (key: string): boolean => /^[-/=\w]+(\.[-/=\w]+)*$/.test(key);

/** What a stored part of a snapshot is: `swain.c.snapshot.<id>.manifest` → the id, and which part. */
export function snapshotPartOf(subject: string): { id: string; part: string } {
  const [, , , id = "", part = ""] = subject.split(".");
  return { id, part };
}

/** True for the subject `restoring` of any cluster. */
export const isRestoring = (subject: string): boolean => /^swain\.[^.]+\.restoring$/.test(subject);

/** The token's id in `swain.c.join.ask.<id>`. */
export function tokenIdOf(subject: string): string {
  return tokenOf(subject, 4);
}

/** The id token of a subject under `node.` or `proxy.`: `swain.c.node.n1.report` → `n1`. */
export function idOf(subject: string): string {
  return tokenOf(subject, 3);
}

/** The token at that place, from 0; empty where there is none. */
function tokenOf(subject: string, place: number): string {
  let from = 0;
  for (let at = 0; at < place; at += 1) {
    from = subject.indexOf(".", from) + 1;
    if (from === 0) return "";
  }
  const end = subject.indexOf(".", from);
  return end < 0 ? subject.slice(from) : subject.slice(from, end);
}

/**
 * Where the answer to a command must go: under the inbox of the node that is asked, since that node may publish nowhere
 * else; `any` is the same of all nodes. Undefined for every other request, which is answered in the asker's own inbox.
 */
export function commandInbox(subject: string): { own: string; any: string } | undefined {
  const [swain, cluster, kind, id, verb] = subject.split(".");
  if (swain !== "swain" || cluster === undefined || kind !== "node" || id === undefined || verb !== "cmd")
    return undefined;
  const { node } = subjectsOf(cluster);
  return { own: node.inbox(id), any: node.inbox("*") };
}
