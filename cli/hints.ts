// When to look again: the feed gives the hint, a slow timer makes up for a lost one. Called by watches and waits.
import { sleep } from "../services/kernel/clock.ts";
import type { Client } from "./client.ts";
import { feedEvent } from "./events.ts";

/** Changes are gathered this long, so that a burst of events costs one look. */
const gatherMs = 100;
/** A look without any hint, should one have been lost. */
const relookMs = 5000;

/** Feed messages of a namespace (`_` for all) as "look again, at a state at least this new". */
export class Hints {
  private readonly client: Client;
  readonly stop: () => void;
  private sequence: number | undefined;
  private wake: (() => void) | null = null;

  constructor(client: Client, scope: string) {
    this.client = client;
    // Every event of the namespace: pods change what workloads, services and nodes show.
    const subject = client.subjects.feed(scope === "_" ? "*" : scope, "*", "*", "*");
    this.stop = client.bus.subscribe(subject, (message) => {
      const sequence = feedEvent(message.json())?.sequence;
      if (sequence === undefined) return;
      this.sequence = Math.max(this.sequence ?? 0, sequence);
      this.wake?.();
    });
  }

  /** The newest sequence hinted at since the last call. */
  take(): number | undefined {
    const { sequence } = this;
    this.sequence = undefined;
    return sequence;
  }

  /**
   * Resolves a moment after a hint, or without one after `relookMs` or `atMostMs`.
   * Rejects when the client's signal aborts.
   */
  async wait(atMostMs = relookMs): Promise<void> {
    const { clock, signal } = this.client;
    if (this.sequence === undefined) {
      const hint = new AbortController();
      this.wake = () => hint.abort();
      const ended = AbortSignal.any([hint.signal, signal]);
      await sleep(clock, Math.min(relookMs, atMostMs), ended).catch(() => {});
      this.wake = null;
    }
    await sleep(clock, gatherMs, signal);
  }
}
