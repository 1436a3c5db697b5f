// What proxies may connect to, and what they carry to a pod that is to stop, held against the log.
import type { EventItem, ServiceApplied } from "../../schemas/generated/types.ts";
import { limits } from "../../services/bus/limits.ts";
import { type Key, keyOf, type State } from "../../services/core/model.ts";
import { parseDurationMs } from "../../services/core/quantity.ts";
import { controllerNames, proxyNames } from "./faults.ts";
import type { Troubles } from "./troubles.ts";
import type { Carried } from "./world/network.ts";

/** A proxy with which, and with what it heard of, nothing was wrong for this long is heard, and hears. */
const cleanMs = 15_000;
const ends = ["kill", "stop", "pause", "wipe", "upgrade", "resign"];
const ofTheWay = ["cut", "cutUp", "cutDown", "flap", "reset", "slow", "lagging"];
const ofTheBus = ["busKill", "busFreeze", "busMoves", "consumersLost"];
/** Nobody's connections are cut from one leader to the next, nor by one that hears nobody. Where messages are lost, a living proxy may fall silent. */
const followed: ReadonlySet<string> = new Set([...ends, ...ofTheWay, ...ofTheBus, "clockJump"]);
/** Between the time in the event that stops a pod and the moment in which it is in the log. */
const writtenMs = 1000;

type PodItem = Extract<EventItem, { kind: "pod" }>;

export class Serving {
  private readonly now: () => number;
  private readonly troubles: Troubles;
  private readonly violate: (message: string) => void;
  /** Requests under way to a pod. */
  carriedTo: (pod: Key) => readonly Carried[] = () => [];
  /** Pods that were endpoints of a service once. */
  private readonly served = new Set<Key>();
  /** Pods → when the event came that took them out of the endpoints. */
  private readonly leftAt = new Map<Key, number>();

  constructor(now: () => number, troubles: Troubles, violate: (message: string) => void) {
    this.now = now;
    this.troubles = troubles;
    this.violate = violate;
  }

  /** A proxy connects to a container of a pod: only one that was ready once is ever told to it. */
  onAttempt(
    { pods, workloads }: State,
    { proxy, port, pod }: { readonly proxy: string; readonly port: number; readonly pod: Key | undefined },
  ): void {
    const found = pods.get(pod ?? "");
    if (found === undefined || found.wasReady) return;
    // A port of its own may have been another pod's a moment ago.
    if (workloads.get(found.workload)?.templates.get(found.template)?.hostPorts.includes(port) === true) return;
    this.violate(`proxy ${proxy} connects to ${found.key}, which is ${found.state} and never was ready`);
  }

  /** A service names a workload: what is ready of it is served. */
  onService(state: State, { namespace, spec }: ServiceApplied): void {
    const workload = state.workloads.get(keyOf(namespace, spec.selector?.workload ?? ""));
    for (const key of workload?.pods ?? []) if (state.pods.get(key)?.state === "ready") this.served.add(key);
  }

  /** An event says something of a pod. */
  onPod(state: State, item: PodItem, key: Key, sequence: number): void {
    if (item.verb === "ready" && state.servicesOf.has(state.pods.get(key)?.workload ?? "")) this.served.add(key);
    // One that ended by itself has no connections.
    if (item.verb === "stopped" || item.verb === "removed") this.served.delete(key);
    if (item.verb === "stopping") this.leftAt.set(key, this.now());
    if (item.verb === "stopping" && !item.drain && this.served.has(key))
      this.violate(`event ${sequence}: ${key}, which a service named, is stopped at once`);
    if (item.verb !== "drained") return;
    const pod = state.pods.get(key);
    if (pod !== undefined) {
      // Clocks of leaders may differ, so event times say nothing.
      const waited = Math.round(this.now() - (this.leftAt.get(key) ?? -Infinity));
      const timeout = parseDurationMs(state.workloads.get(pod.workload)?.spec.drainTimeout ?? "10s");
      if (waited < timeout - writtenMs) {
        this.ends(key, `event ${sequence}: ${key} is drained after ${waited} ms of ${timeout}`);
      }
      // Nobody was out of reach, and proxies look at what they have lost themselves.
      const ms = cleanMs + limits.proxyAckMs;
      const isClean = ["bus", ...controllerNames, ...proxyNames].every((place) => this.troubles.isClean(place, ms));
      if (item.reason === "PROXY_NOT_ACKED" && isClean)
        this.violate(
          `event ${sequence}: ${key} waited in vain for proxies with which nothing was wrong: ${item.message}`,
        );
    }
    this.leftAt.delete(key);
  }

  /** A pod is told to end: no proxy that is heard may carry anything to it, whichever service it came by. */
  private ends(key: Key, what: string): void {
    const leftAt = this.leftAt.get(key);
    if (leftAt === undefined) return;
    const ms = cleanMs + this.now() - leftAt;
    const isClean = (place: string): boolean => this.troubles.isClean(place, ms);
    if (!["bus", ...controllerNames].every((place) => this.troubles.isClean(place, ms, followed))) return;
    const open = this.carriedTo(key).filter(({ proxy, since }) => since < leftAt && isClean(proxy));
    if (open.length === 0) return;
    this.violate(`${what} while ${open[0]?.proxy} carries ${open.length} requests to it`);
  }

  /** The log lost its end: what was seen of it counts no more. */
  forget(): void {
    this.served.clear();
    this.leftAt.clear();
  }
}
