// Lines of a snapshot back to the state they were made of. Each line is held against its schema; a field that a later
// version adds to the state must be optional there and get its default here, so that snapshots made before it stay good.
import { snapshotLine } from "../../../schemas/generated/state.js";
import type {
  SnapshotHeader,
  SnapshotLine,
  SnapshotNode,
  SnapshotPod,
  SnapshotService,
  SnapshotWorkload,
} from "../../../schemas/generated/types.ts";
import { SwainError } from "../../kernel/errors.ts";
import { emptyState } from "../fold/fold.ts";
import { keyOf } from "../model.ts";
import type { Key, State, Template } from "../model.ts";
import { templateOf } from "../template.ts";

/** Takes the lines in order; `end` gives the state. Throws SNAPSHOT_BROKEN when a line makes no sense. */
export class Decoder {
  private readonly state = emptyState();
  private header: SnapshotHeader | undefined;
  private lines = 0;
  /** Keys that many records name are kept once, as the fold keeps them. */
  private readonly pool = new Map<string, string>();

  line(text: string): void {
    this.lines++;
    const value = parsed(text);
    if (!snapshotLine(value)) {
      const { instancePath = "", message = "is wrong" } = snapshotLine.errors?.[0] ?? {};
      throw this.broken(`${instancePath} ${message}`);
    }
    if ((this.header === undefined) !== (value.header !== undefined)) throw this.broken("the header is not first");
    this.take(value);
  }

  end(): State {
    const { header, state } = this;
    if (header === undefined) throw this.broken("there is no header");
    for (const [kind, count] of Object.entries(header.counts)) {
      const found = (state as unknown as Record<string, { size?: number } | undefined>)[kind]?.size;
      if (found !== undefined && found !== count)
        throw this.broken(`${String(count)} ${kind} were told, ${found} are there`);
    }
    return state;
  }

  private broken(why: string): SwainError {
    return new SwainError("SNAPSHOT_BROKEN", `line ${this.lines} of the snapshot: ${why}`);
  }

  private take(line: SnapshotLine): void {
    const { state } = this;
    if (line.pod !== undefined) this.pod(line.pod);
    else if (line.node !== undefined) this.node(line.node);
    else if (line.workload !== undefined) this.workload(line.workload);
    else if (line.service !== undefined) this.service(line.service);
    else if (line.header !== undefined) this.begin(line.header);
    else if (line.external !== undefined) {
      const { id, namespace, name, service, addresses, ttlMs, since, seq } = line.external;
      state.external.set(id, { id, namespace, name, service: this.one(service), addresses, ttlMs, since, seq });
    } else if (line.autoscaler !== undefined) {
      const { namespace, name, labels, spec, generation, changedAt, last, seq } = line.autoscaler;
      const record = { namespace, name, labels, spec, generation, changedAt, last, seq };
      state.autoscalers.set(this.one(keyOf(namespace, name)), record);
    } else if (line.selected !== undefined) {
      state.servicesOf.set(this.one(line.selected.workload), this.set(line.selected.services));
    } else if (line.scaled !== undefined) {
      state.autoscalerOf.set(this.one(line.scaled.workload), this.one(line.scaled.autoscaler));
    }
    for (const key of line.pending ?? []) state.pending.add(this.one(key));
    for (const key of line.draining ?? []) state.draining.add(this.one(key));
    for (const { id, sequence } of line.operations ?? []) state.operations.set(id, sequence);
  }

  private begin(header: SnapshotHeader): void {
    const { state } = this;
    const { logId, parents, clusterUid, sequence, accepted, lastEventId, epoch, leader, time, foreign } = header;
    Object.assign(state, { logId, clusterUid, sequence, accepted, lastEventId, epoch, leader, time, foreign });
    state.parents.push(...parents);
    state.podCounter = header.podCounter;
    this.header = header;
  }

  private pod(pod: SnapshotPod): void {
    const key = this.one(keyOf(pod.namespace, pod.name));
    this.state.pods.set(key, {
      key,
      namespace: this.one(pod.namespace),
      name: pod.name,
      workload: this.one(pod.workload),
      slot: pod.slot,
      template: pod.template,
      node: pod.node === null ? null : this.one(pod.node),
      state: pod.state,
      desired: pod.desired,
      unheard: pod.unheard,
      held: pod.held,
      reason: pod.reason,
      message: pod.message,
      restarts: pod.restarts,
      exitCode: pod.exitCode,
      addresses: pod.addresses,
      containers: pod.containers,
      since: pod.since,
      created: pod.created,
      ended: pod.ended,
      wasReady: pod.wasReady,
      leftAt: pod.leftAt,
      assignment: pod.assignment,
      seq: pod.seq,
    });
  }

  private node(node: SnapshotNode): void {
    const { cpuMillis, memoryBytes } = node.reserved;
    const id = this.one(node.id);
    this.state.nodes.set(id, {
      id,
      facts: node.facts,
      state: node.state,
      since: node.since,
      reason: node.reason,
      message: node.message,
      mode: node.mode,
      modeReason: node.modeReason,
      modeMessage: node.modeMessage,
      assignment: node.assignment,
      reserved: { cpuMillis, memoryBytes },
      holding: node.holding,
      pods: this.set(node.pods),
      seq: node.seq,
    });
  }

  private workload(workload: SnapshotWorkload): void {
    const { namespace, name, labels, spec, generation, deleting, halted, seq } = workload;
    const templates = new Map<number, Template>();
    for (const one of workload.templates) {
      const { generation: sequence, eventId = "", spec: template } = one;
      templates.set(sequence, templateOf(template, { sequence, eventId: this.one(eventId) }, namespace));
    }
    const template = templates.get(workload.template);
    if (template === undefined) throw this.broken("the current template is not among the templates");
    this.state.workloads.set(this.one(keyOf(namespace, name)), {
      namespace,
      name,
      labels,
      spec,
      generation,
      template,
      templates,
      history: workload.history.map(({ generation, time, spec }) => ({ generation, time, spec })),
      pods: this.set(workload.pods),
      formerServices: new Map((workload.former ?? []).map(({ service, sequence }) => [this.one(service), sequence])),
      deleting,
      halted: halted === null ? null : { reason: halted.reason, message: halted.message, from: halted.from ?? null },
      seq,
    });
  }

  private service(service: SnapshotService): void {
    const { namespace, name, labels, spec, generation, headSeq, shardCount, seq } = service;
    const shards = new Map(
      service.shards.map(({ index, pods, external, seq }) => [
        index,
        { pods: this.set(pods), external: this.set(external), seq },
      ]),
    );
    this.state.services.set(this.one(keyOf(namespace, name)), {
      namespace,
      name,
      labels,
      spec,
      generation,
      headSeq,
      shards,
      shardCount,
      external: this.set(service.external),
      seq,
    });
  }

  private one(text: string): string {
    const known = this.pool.get(text);
    if (known !== undefined) return known;
    this.pool.set(text, text);
    return text;
  }

  private set(keys: readonly Key[]): Set<Key> {
    return new Set(keys.map((key) => this.one(key)));
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
