// What the demo hears on the bus, as the operator.
import type { Feed as FeedEvent } from "../../schemas/generated/types.ts";
import { connectBus } from "../../services/bus/connect.ts";
import type { Bus } from "../../services/bus/port.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import type { Cancel } from "../../services/kernel/clock.ts";
import { sleep } from "../../services/kernel/clock.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemRandom } from "../../services/kernel/node/ids.ts";
import { localCluster } from "./layout.ts";

/** As many as a screen shows. */
const shown = 12;
/** A first election takes a few seconds. */
const leaderMs = 20_000;

/** A connection to the cluster of that data folder. */
export async function openBus(data: string, signal: AbortSignal): Promise<Bus> {
  const cluster = localCluster(data);
  if (cluster === null) throw new SwainError("NOT_RUNNING", `nothing runs from ${data}`);
  const creds = cluster.creds("operator");
  return connectBus({
    servers: cluster.server,
    name: "demo",
    cluster: cluster.cluster,
    ...(creds === undefined ? {} : { creds }),
    connectTimeoutMs: 5000,
    clock: systemClock,
    random: systemRandom,
    log: silent,
    signal,
  });
}

/** Collects the feed. */
export class Feed {
  private readonly bus: Bus;
  private readonly cluster: string;
  private readonly lines: string[] = [];
  private total = 0;
  readonly stop: Cancel;

  constructor(bus: Bus, cluster: string) {
    this.bus = bus;
    this.cluster = cluster;
    this.stop = bus.subscribe(subjectsOf(cluster).feedAll, (message) => {
      const event = message.json() as FeedEvent | undefined;
      if (event === undefined) return;
      this.total++;
      this.lines.push(`${event.time.slice(11, 23)} #${event.sequence} ${event.type} ${event.subject}`);
      if (this.lines.length > shown) this.lines.shift();
    });
  }

  /** The last things it told, and how many there were. */
  latest(): { lines: readonly string[]; total: number } {
    return { lines: this.lines, total: this.total };
  }

  /** The cluster's uid, which marks its containers. Waits for the first leader. */
  async clusterUid(): Promise<string> {
    const subject = subjectsOf(this.cluster).api("_", "cluster", "status");
    const deadline = performance.now() + leaderMs;
    for (;;) {
      try {
        const status = (await this.bus.request(subject, {}, { timeoutMs: 2000 })).json() as { clusterUid?: string };
        if (typeof status.clusterUid === "string") return status.clusterUid;
      } catch (error) {
        if (performance.now() > deadline) throw error;
      }
      if (performance.now() > deadline) throw new SwainError("NO_LEADER", "the cluster's status holds no uid");
      await sleep(systemClock, 100);
    }
  }
}
