// Waits until the leader counts every node as ready, so that the first apply after `swain up` sees all of them.
import { connectBus } from "../../services/bus/connect.ts";
import { asSwainError } from "../../services/kernel/errors.ts";
import { silent } from "../../services/kernel/log.ts";
import { sleep } from "../../services/kernel/clock.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemIds, systemRandom } from "../../services/kernel/node/ids.ts";
import { Client } from "../client.ts";

/** An engine that is slow to answer delays its node; after this long the cluster is ready without it. */
const patienceMs = 20_000;
const lookMs = 50;

export interface JoinOptions {
  readonly server: string;
  readonly cluster: string;
  readonly creds: string | undefined;
  readonly nodes: number;
  readonly signal: AbortSignal;
}

/** How many nodes are ready: all of them, or fewer when the time was over. Rejects when the signal aborts. */
export async function nodesJoined(options: JoinOptions): Promise<number> {
  const { server, cluster, creds, nodes, signal } = options;
  const parts = { clock: systemClock, ids: systemIds, random: systemRandom, signal };
  const bus = await connectBus({
    ...parts,
    servers: server,
    name: "up",
    cluster,
    log: silent,
    ...(creds === undefined ? {} : { creds }),
  });
  try {
    const client = new Client({ ...parts, bus, cluster });
    const end = systemClock.mono() + patienceMs;
    for (;;) {
      const ready = await readyNodes(client);
      if (ready >= nodes || systemClock.mono() > end) return ready;
      await sleep(systemClock, lookMs, signal);
    }
  } finally {
    await bus.close();
  }
}

async function readyNodes(client: Client): Promise<number> {
  try {
    const list = await client.list("_", "node");
    return list.filter((node) => (node["status"] as { state?: string } | undefined)?.state === "ready").length;
  } catch (error) {
    if (asSwainError(error).retryable) return 0;
    throw error;
  }
}
