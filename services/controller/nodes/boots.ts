// Which agent speaks for a node. Every start of an agent has a boot id; the newest one heard speaks, and the one before it
// is refused, so that what an ended agent still had under way cannot undo what its successor said. An agent that keeps
// speaking after another took its place means that several run under one id, as machines made from one image do: that is said,
// and whichever outlives the newest speaks again, and is asked for all it has to say: what counts by then is what others saw.
import type { Context } from "../ports.ts";

interface Speaker {
  bootId: string;
  /** Monotonic time of its last heartbeat. */
  heardAt: number;
  /** The boots that spoke before it, the last one first. */
  before: readonly string[];
  warnedAt: number;
  /** It spoke before another one did, and was not asked for its states since. */
  isBack: boolean;
}

/** Without a heartbeat for three of its periods the speaker is taken to have ended. */
const endedMs = 3000;
const warnEveryMs = 60_000;
/** Silent for this long, whoever comes next is not confused with what an ended agent had under way. */
const forgottenMs = 60_000;
/** An agent may be started anew as often before it is forgotten that it spoke; more at once may take turns unsaid. */
const keptBoots = 16;

export class Boots {
  private readonly context: Context;
  private readonly speakers = new Map<string, Speaker>();

  constructor(context: Context) {
    this.context = context;
  }

  /** Takes a heartbeat; false when another agent speaks for the node. */
  hear(node: string, bootId: string): boolean {
    const now = this.context.clock.mono();
    const speaker = this.speakers.get(node);
    if (speaker === undefined) {
      this.speakers.set(node, { bootId, heardAt: now, before: [], warnedAt: -Infinity, isBack: false });
      return true;
    }
    if (bootId !== speaker.bootId) {
      const isBack = speaker.before.includes(bootId);
      if (isBack && now - speaker.heardAt < endedMs) {
        this.warn(node, speaker, now);
        return false;
      }
      speaker.isBack = isBack;
      speaker.before = [speaker.bootId, ...speaker.before.filter((one) => one !== bootId)].slice(0, keptBoots);
      speaker.bootId = bootId;
    }
    speaker.heardAt = now;
    return true;
  }

  /** True while the agent that speaks for the node is to say again what it said before another one spoke. */
  isBack(node: string): boolean {
    return this.speakers.get(node)?.isBack === true;
  }

  /** The agent that speaks for the node was asked for that. */
  onAsked(node: string): void {
    const speaker = this.speakers.get(node);
    if (speaker !== undefined) speaker.isBack = false;
  }

  /** True when what this boot reports counts: it speaks for the node, or was never heard before. */
  speaks(node: string, bootId: string): boolean {
    return this.speakers.get(node)?.before.includes(bootId) !== true;
  }

  /** Forgets who speaks for the node; false, and nothing is forgotten, when that was heard lately. */
  forget(node: string): boolean {
    const heardAt = this.speakers.get(node)?.heardAt ?? -Infinity;
    return this.context.clock.mono() - heardAt >= forgottenMs && this.speakers.delete(node);
  }

  private warn(node: string, speaker: Speaker, now: number): void {
    if (now - speaker.warnedAt < warnEveryMs) return;
    speaker.warnedAt = now;
    this.context.log.warn("several agents run under one node id; the newest one speaks for it", {
      code: "NODE_ID_DOUBLED",
      node,
    });
  }
}
