// Tells each node what changed in its assignment. A command is a hint with the difference attached: one is in flight per
// node, and when it is not known what the agent holds, it is only told that there is something to pull. It carries nothing
// but what the log says, so a stale leader can only repeat the log. Called by the term after each acknowledged event.
import { assignReply } from "../../../schemas/generated/messages.js";
import type { Assign, AssignedPod } from "../../../schemas/generated/types.ts";
import { limits } from "../../bus/limits.ts";
import type { BusMessage } from "../../bus/port.ts";
import { assignedPod } from "../../core/assignment.ts";
import { isOfLostEnd, isOtherTerm } from "../../core/lease.ts";
import type { Key, ReadState, Touched } from "../../core/model.ts";
import { asSwainError } from "../../kernel/errors.ts";
import { traced } from "../../kernel/trace.ts";
import type { Held } from "../nodes/heartbeats.ts";
import type { Context } from "../ports.ts";
import { bodyOf, jsonBytes } from "../record.ts";

/** Requests in flight over all nodes: enough to hide the slow ones, few enough to answer for. */
const inFlightMost = 512;
const envelopeBytes = 1024;

interface Line {
  /** Generation the agent is known to hold; null when that is not known. */
  held: number | null;
  /** Pods that changed since `held`. Complete only while `held` is known. */
  changed: Set<Key>;
  /** Sequence of the node's removal while its agent is not known to have heard of it. */
  farewell: number | null;
  /** Monotonic time of that removal. */
  removedAt: number;
  /** The agent is to say every state anew; called when it heard of that. */
  onAsked: (() => void) | null;
  inFlight: boolean;
  queued: boolean;
}

export class Assigner {
  private readonly context: Context;
  private readonly state: ReadState;
  private readonly term: string;
  /** True while commands may be sent. */
  private readonly mayCommand: () => boolean;
  private readonly lines = new Map<string, Line>();
  private readonly queue: string[] = [];
  private inFlight = 0;
  private ended = false;

  constructor(context: Context, state: ReadState, term: string, mayCommand: () => boolean) {
    this.context = context;
    this.state = state;
    this.term = term;
    this.mayCommand = mayCommand;
  }

  stop(): void {
    this.ended = true;
  }

  /** An event changed what these nodes should run. */
  onTouched(assignments: Touched["assignments"]): void {
    for (const [node, pods] of assignments) {
      const line = this.line(node);
      // Without a known base the agent pulls everything anyway.
      if (line.held !== null) for (const pod of pods) line.changed.add(pod);
      this.enqueue(node, line);
    }
  }

  /** The node was removed by the event of that sequence: its agent is told to run nothing. */
  onRemoved(node: string, sequence: number): void {
    this.forgetRemoved();
    const line = this.line(node);
    line.farewell = sequence;
    line.removedAt = this.context.clock.mono();
    forget(line);
    this.enqueue(node, line);
  }

  /** The agent said what it holds: the retry of everything that got lost. */
  onHeard(node: string, heard: Held): void {
    const record = this.state.nodes.get(node);
    if (record === undefined) {
      this.sayFarewell(node, heard);
      return;
    }
    // An agent of a log this one was restored from must pull everything; so must one of no log that holds something.
    const isHeir = this.state.parents.includes(heard.logId);
    if (heard.logId !== "" && heard.logId !== this.state.logId && !isHeir) return;
    const line = this.line(node);
    if (line.inFlight || line.queued) return;
    const { epoch = Infinity, term = "", generation } = heard;
    // The same number may be of an event that the log lost.
    const [holds, tells] = [
      { epoch, term, generation },
      { epoch: this.state.epoch, term: this.term, generation: record.assignment },
    ];
    const isLost = isOfLostEnd(holds, tells) || isOtherTerm(holds, tells);
    if (
      !isHeir &&
      !isLost &&
      heard.generation === record.assignment &&
      (heard.logId !== "" || heard.generation === 0)
    ) {
      line.held = heard.generation;
      line.changed.clear();
      return;
    }
    // From its base the difference is known; from anything else it must pull. An old heartbeat may cost a needless hint.
    if (isHeir || heard.generation !== line.held) forget(line);
    this.enqueue(node, line);
  }

  /** The agent is to say every state of its pods anew. Unanswered, its next heartbeat is what retries. */
  askAnew(node: string, onAsked: () => void): void {
    if (!this.state.nodes.has(node)) return;
    const line = this.line(node);
    line.onAsked = onAsked;
    this.enqueue(node, line);
  }

  /** Again, until the agent of a removed node says that it holds what the removal left it: nothing. */
  private sayFarewell(node: string, heard: Held): void {
    const line = this.lines.get(node);
    if (line === undefined || line.farewell === null || line.inFlight || line.queued) return;
    const { logId, epoch = Infinity, generation } = heard;
    const isTold = logId === this.state.logId && epoch >= this.state.epoch && generation >= line.farewell;
    if (isTold) line.farewell = null;
    else this.enqueue(node, line);
  }

  /** An agent that speaks again later than this registers anew: nothing need be kept for it. */
  private forgetRemoved(): void {
    const over = this.context.clock.mono() - limits.removedHoldMs;
    for (const [node, { removedAt, inFlight, queued }] of this.lines) {
      if (removedAt <= over && !inFlight && !queued && !this.state.nodes.has(node)) this.lines.delete(node);
    }
  }

  /** Goes on where commands were held back. */
  resume(): void {
    this.pump();
  }

  get waiting(): number {
    return this.queue.length + this.inFlight;
  }

  private line(node: string): Line {
    const known = this.lines.get(node);
    if (known !== undefined) return known;
    const line: Line = {
      held: null,
      changed: new Set(),
      farewell: null,
      removedAt: 0,
      onAsked: null,
      inFlight: false,
      queued: false,
    };
    this.lines.set(node, line);
    return line;
  }

  private enqueue(node: string, line: Line): void {
    if (!line.queued && !line.inFlight) {
      line.queued = true;
      this.queue.push(node);
    }
    this.pump();
  }

  private pump(): void {
    while (this.inFlight < inFlightMost && !this.ended && this.mayCommand()) {
      const node = this.queue.shift();
      if (node === undefined) return;
      const line = this.line(node);
      line.queued = false;
      line.inFlight = true;
      this.inFlight++;
      void this.send(node, line).then((again) => {
        line.inFlight = false;
        this.inFlight--;
        if (again) this.enqueue(node, line);
        else this.pump();
      });
    }
  }

  /** True when there is more to send at once. After a failure the next heartbeat or change is what retries. */
  private async send(node: string, line: Line): Promise<boolean> {
    const { bus, subjects, counters } = this.context;
    const told = this.messageFor(node, line);
    if (told === undefined) return false;
    const { onAsked } = line;
    line.onAsked = null;
    const message: Assign = onAsked === null ? told : { ...told, resend: true };
    const isHint = message.base === message.generation;
    if (isHint) counters.hinted++;
    else counters.assigned++;
    const sent = line.changed;
    line.changed = new Set();
    let held: number | undefined;
    try {
      const timeoutMs = limits.commandTimeoutMs;
      const subject = subjects.node.command(node, "assign");
      const ask = (): Promise<BusMessage> => bus.request(subject, message, { timeoutMs });
      const answer = await traced("command assign", ask, { kind: "client", attributes: { "swain.node": node } });
      const body = bodyOf(answer);
      if (assignReply(body) && body.logId === this.state.logId) held = body.held;
      if (held !== undefined) onAsked?.();
    } catch (error) {
      this.context.log.debug("an assignment got no answer", { node, code: asSwainError(error).code });
    }
    if (message.base === 0 && message.generation === line.farewell) return this.saidFarewell(node, line, held);
    const current = this.state.nodes.get(node)?.assignment ?? message.generation;
    if (held === message.generation) {
      // What changed during a hint was not collected, so the base would be wrong for the next difference.
      line.held = isHint && current !== held ? null : held;
      return current !== held;
    }
    // Unanswered: the agent may hold either, and its next heartbeat tells which. Otherwise it pulls already.
    if (held === undefined && !isHint) for (const pod of sent) line.changed.add(pod);
    else forget(line);
    return false;
  }

  /** True when the node is registered anew meanwhile: then it pulls. Unheard, the next heartbeat is what retries. */
  private saidFarewell(node: string, line: Line, held: number | undefined): boolean {
    if (line.farewell !== null && held !== undefined && held >= line.farewell) line.farewell = null;
    forget(line);
    return this.state.nodes.has(node);
  }

  private messageFor(node: string, line: Line): Assign | undefined {
    const record = this.state.nodes.get(node);
    const generation = record?.assignment ?? line.farewell;
    if (generation === null) return undefined;
    const { clusterUid, logId, epoch, parents } = this.state;
    const kin = parents.length === 0 ? {} : { parents: [...parents] };
    const base = { clusterUid, logId, ...kin, epoch, term: this.term, generation };
    if (record === undefined) return { ...base, base: 0, items: [], gone: [] };
    line.farewell = null;
    const hint: Assign = { ...base, base: record.assignment, items: [], gone: [] };
    if (line.held === null || line.held >= record.assignment || line.changed.size > limits.eventItems) return hint;
    const items: AssignedPod[] = [];
    const gone: string[] = [];
    let bytes = envelopeBytes;
    for (const key of line.changed) {
      const item = this.state.pods.get(key)?.node === node ? assignedPod(this.state, key) : null;
      bytes += item === null ? key.length + 3 : jsonBytes(item) + 1;
      if (bytes > limits.pageBytes) return hint;
      if (item === null) gone.push(key);
      else items.push(item);
    }
    return { ...base, base: line.held, items, gone };
  }
}

function forget(line: Line): void {
  line.held = null;
  line.changed.clear();
}
