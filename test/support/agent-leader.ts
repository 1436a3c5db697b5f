// A test that acts as the leader towards one agent: it answers sync and report, hears heartbeats, and sends commands.
import {
  assignReply,
  heartbeat,
  leaseRequest as isLeaseRequest,
  report as isReport,
} from "../../schemas/generated/messages.js";
import type {
  Assign,
  AssignedPod,
  AssignReply,
  Heartbeat,
  LeaseRequest,
  PodReport,
  Report,
} from "../../schemas/generated/types.ts";
import type { Bus, BusMessage } from "../../services/bus/port.ts";
import { respond, respondError } from "../../services/bus/respond.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import type { SwainError } from "../../services/kernel/errors.ts";

export class TestLeader {
  readonly heartbeats: Heartbeat[] = [];
  /** Every report that came, answered or not. */
  readonly reports: Report[] = [];
  /** Every request for a lease. */
  readonly leases: LeaseRequest[] = [];
  /** Said with a lease. */
  lost: number | null = null;
  /** The last state of each pod. */
  readonly states = new Map<string, PodReport>();
  clusterUid = "cluster-uid";
  logId = "log-1";
  epoch = 1;
  generation = 1;
  items: AssignedPod[] = [];
  /** Items in one page of a sync. */
  pageSize = 1000;
  syncs = 0;
  /** Called before each page is answered. */
  onPage: (() => void) | null = null;
  silent = false;
  refusal: SwainError | null = null;
  resend = false;
  private readonly bus: Bus;
  private readonly node: string;
  private readonly subjects: ReturnType<typeof subjectsOf>;

  constructor(bus: Bus, cluster: string, node: string) {
    this.bus = bus;
    this.node = node;
    this.subjects = subjectsOf(cluster);
    const { heartbeat: beats, report, sync, lease } = this.subjects.node;
    bus.subscribe(beats(node), (message) => {
      const value = message.json();
      if (!heartbeat(value)) throw new Error(`malformed heartbeat: ${JSON.stringify(heartbeat.errors)}`);
      this.heartbeats.push(value);
    });
    bus.subscribe(report(node), (message) => this.onReport(message));
    bus.subscribe(sync(node), (message) => this.onSync(message));
    bus.subscribe(lease(node), (message) => this.onLease(message));
  }

  /** The whole or a part of the assignment as a command. */
  async assign(more: Partial<Assign> = {}): Promise<AssignReply> {
    const value = (await this.command("assign", this.message({ items: this.items, ...more }))).json();
    if (!assignReply(value)) throw new Error(`no assign reply: ${JSON.stringify(value)}`);
    return value;
  }

  command(verb: string, body: unknown): Promise<BusMessage> {
    return this.bus.request(this.subjects.node.command(this.node, verb), body, { timeoutMs: 5000 });
  }

  state(name: string): string | undefined {
    return this.states.get(`default/${name}`)?.state;
  }

  private message(more: Partial<Assign>): Assign {
    const { clusterUid, logId, epoch, generation } = this;
    return { clusterUid, logId, epoch, generation, base: 0, items: [], gone: [], ...more };
  }

  private get inbox(): string {
    return this.subjects.node.inbox(this.node);
  }

  private onLease(message: BusMessage): void {
    const value = message.json();
    if (!isLeaseRequest(value)) throw new Error(`malformed request: ${JSON.stringify(isLeaseRequest.errors)}`);
    this.leases.push(value);
    const { logId, epoch, generation, lost } = this;
    respond(this.bus, message, this.inbox, { logId, epoch, generation, ...(lost === null ? {} : { lost }) });
  }

  private onReport(message: BusMessage): void {
    const value = message.json();
    if (!isReport(value)) throw new Error(`malformed report: ${JSON.stringify(isReport.errors)}`);
    this.reports.push(value);
    if (this.silent) return;
    if (this.refusal !== null) {
      respondError(this.bus, message, this.inbox, this.refusal);
      return;
    }
    for (const pod of value.pods) this.states.set(`${pod.namespace}/${pod.name}`, pod);
    const resend = this.resend ? { resend: true } : {};
    this.resend = false;
    respond(this.bus, message, this.inbox, { accepted: value.sequence, ...resend });
  }

  private onSync(message: BusMessage): void {
    this.syncs += 1;
    if (this.silent) return;
    this.onPage?.();
    const after = (message.json() as { after?: string }).after ?? "";
    const sorted = [...this.items].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    const rest = sorted.filter((item) => keyOf(item) > after);
    const items = rest.slice(0, this.pageSize);
    const last = items.at(-1);
    const next = rest.length > items.length && last !== undefined ? { next: keyOf(last) } : {};
    respond(this.bus, message, this.inbox, this.message({ items, ...next }));
  }
}

const keyOf = (pod: AssignedPod): string => `${pod.namespace}/${pod.name}`;
