// `logs workload/NAME`: the output of all its pods as one, each line with its pod; with -f also of pods that come later.
import type { PodObject } from "../schemas/generated/types.ts";
import { asSwainError } from "../services/kernel/errors.ts";
import type { Client } from "./client.ts";
import type { Terminal } from "./command.ts";
import { Hints } from "./hints.ts";
import { readLogs } from "./log-session.ts";
import type { WantedLogs } from "./log-session.ts";
import { MergedLines } from "./merged-lines.ts";
import type { Line } from "./merged-lines.ts";
import { byName } from "./natural.ts";
import { harmless } from "./output/table.ts";

export interface WantedWorkloadLogs extends Omit<WantedLogs, "pod"> {
  readonly workload: string;
  readonly prefix: boolean;
}

/** An agent takes 50 sessions of all its clients together; more pods than this are no reading matter anyhow. */
const mostSessions = 40;
/** How long a followed line waits for an earlier one of another pod. */
const holdMs = 200;

/** Resolves with the exit code when all of it is written or, following, when the client's signal aborts. Throws NOT_FOUND. */
export async function showWorkloadLogs(
  terminal: Terminal,
  client: Client,
  wanted: WantedWorkloadLogs,
): Promise<number> {
  await client.get(wanted.namespace, "workload", wanted.workload);
  const reader = new WorkloadLogs(terminal, client, wanted);
  return wanted.follow ? reader.follow() : reader.readOnce();
}

class WorkloadLogs {
  private readonly terminal: Terminal;
  private readonly client: Client;
  private readonly wanted: WantedWorkloadLogs;
  private readonly merged: MergedLines;
  /** Pods read now, with what of them is read. */
  private readonly open = new Map<string, string>();
  /** Pods read to their end: what of them was read, and the time of their newest line. */
  private readonly over = new Map<string, { run: string; newest: number }>();
  private width = 0;
  private saidTooMany = false;
  private failed = 0;

  constructor(terminal: Terminal, client: Client, wanted: WantedWorkloadLogs) {
    this.terminal = terminal;
    this.client = client;
    this.wanted = wanted;
    this.merged = new MergedLines({
      clock: client.clock,
      holdMs: wanted.follow ? holdMs : null,
      write: (line) => this.write(line),
      lost: (pod, pieces) => this.note(`${pieces} ${pieces === 1 ? "piece" : "pieces"} of ${pod}'s log were lost`),
    });
  }

  /** What is there now, to its end. */
  async readOnce(): Promise<number> {
    const pods = await this.pods();
    for (const { metadata, spec, status } of pods.filter((pod) => pod.spec.node === undefined)) {
      this.note(`${metadata.name} is on no node: ${status.message || status.state} (workload ${spec.workload})`);
    }
    await Promise.all(this.within(pods).map((pod) => this.read(pod, this.wanted)));
    return this.failed > 0 ? 1 : 0;
  }

  async follow(): Promise<number> {
    const { client, terminal } = this;
    const hints = new Hints(client, this.wanted.namespace);
    try {
      for (let first = true; !client.signal.aborted; first = false) {
        const pods = await this.pods(hints.take()).catch((error: unknown) => this.without(error, first));
        if (first && pods?.length === 0) terminal.err(`Waiting for pods of workload ${this.wanted.workload} …\n`);
        if (pods !== null) this.forget(pods);
        for (const pod of this.within(pods ?? [])) this.start(pod, first);
        await hints.wait();
      }
    } catch (error) {
      if (!client.signal.aborted) throw error;
    } finally {
      hints.stop();
      this.merged.stop();
    }
    return 0;
  }

  /** Without a leader what is read goes on, and others are looked for later. Throws what waiting does not cure. */
  private without(error: unknown, first: boolean): null {
    const { code, message, retryable } = asSwainError(error);
    if (first || this.client.signal.aborted || !retryable) throw error;
    this.note(`${code}: ${message}; still following`);
    return null;
  }

  private async pods(minSeq?: number): Promise<PodObject[]> {
    const options = minSeq === undefined ? {} : { minSeq };
    const all = (await this.client.list(this.wanted.namespace, "pod", options)) as unknown as PodObject[];
    const pods = all.filter(({ spec }) => spec.workload === this.wanted.workload).toSorted(byName);
    this.width = Math.max(this.width, ...pods.map(({ metadata }) => metadata.name.length));
    return pods;
  }

  /** Those on nodes, as many as are read at once. */
  private within(pods: readonly PodObject[]): PodObject[] {
    const placed = pods.filter(({ spec }) => spec.node !== undefined);
    if (placed.length > mostSessions && !this.saidTooMany) {
      this.note(`Only ${mostSessions} of ${placed.length} pods are shown`);
      this.saidTooMany = true;
    }
    return placed.slice(0, mostSessions);
  }

  private forget(pods: readonly PodObject[]): void {
    const there = new Set(pods.map(({ metadata }) => metadata.name));
    for (const name of this.over.keys()) {
      if (there.has(name)) continue;
      this.over.delete(name);
      this.note(`- ${name}`);
    }
  }

  /** Begins to follow a pod, or follows its next run. */
  private start(pod: PodObject, first: boolean): void {
    const { name } = pod.metadata;
    const run = runOf(pod);
    const before = this.over.get(name);
    if (run === "" || this.open.has(name) || before?.run === run) return;
    if (!first && before === undefined) this.note(`+ ${name} on ${pod.spec.node ?? "?"}`);
    // Nothing of it was shown before its node fell silent: what was asked for is asked for again.
    const again = before?.run === "" && before.newest === 0;
    // What comes later is shown whole; what was shown before is not shown again.
    const rest = { tail: undefined, since: before === undefined ? null : { sinceTime: before.newest + 1 } };
    void this.read(pod, first || again ? this.wanted : { ...this.wanted, ...rest });
  }

  private async read(pod: PodObject, wanted: WantedWorkloadLogs): Promise<void> {
    const { name } = pod.metadata;
    this.open.set(name, runOf(pod));
    const sink = this.merged.open(name, this.over.get(name)?.newest);
    let refused = false;
    let cutOff = false;
    try {
      await readLogs(this.client, pod.spec.node ?? "", { ...wanted, pod: name }, sink);
    } catch (error) {
      const { code, message } = asSwainError(error);
      // A container that is not made yet, or a pod that went meanwhile, is looked at again.
      refused = this.wanted.follow && code === "NOT_FOUND";
      // The node told no end of the run: it is read on from its newest line.
      cutOff = this.wanted.follow && code === "TIMEOUT";
      if (!refused && !this.client.signal.aborted) {
        this.failed += 1;
        this.note(`${name}: ${code}: ${message}`);
      }
    }
    const newest = await this.merged.end(name);
    const run = cutOff ? "" : (this.open.get(name) ?? "");
    this.open.delete(name);
    if (!refused) this.over.set(name, { run, newest: Math.max(newest, this.over.get(name)?.newest ?? 0) });
  }

  private async write({ source, time, stream, text }: Line): Promise<void> {
    const stamp = this.wanted.timestamps ? `${new Date(time).toISOString()} ` : "";
    const line = `${this.prefix(source)}${stamp}${text}\n`;
    if (stream === "stderr") this.terminal.err(line);
    else this.terminal.out(line);
    await this.terminal.drained();
  }

  private prefix(pod: string): string {
    if (!this.wanted.prefix) return "";
    const name = pod.padEnd(this.width);
    return this.terminal.color ? `\u001B[${colorOf(pod)}m${name} |\u001B[39m ` : `${name} | `;
  }

  private note(text: string): void {
    this.terminal.err(`${harmless(text)}\n`);
  }
}

/** What tells one run of a pod's containers from the next; empty while there is none. */
const runOf = ({ status }: PodObject): string =>
  status.containers === undefined || status.containers.length === 0
    ? ""
    : `${status.restarts} ${status.containers.map(({ id }) => id).join(" ")}`;

/** Colours that are read well on dark and light; red is for errors. */
const palette = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94] as const;

/** The same pod has the same colour in every run. */
function colorOf(pod: string): number {
  // Neighbours such as web-1 and web-2 should differ, so the last sign counts as it is.
  let hash = 0;
  for (const sign of pod) hash = (hash * 31 + (sign.codePointAt(0) ?? 0)) % 1_000_003;
  return palette[hash % palette.length] ?? 36;
}
