// One direction of one connection: what goes in comes out later and in order, at a time of the receiver's clock. So a
// paused process gets what waits for it when it goes on, and a killed one never.
import type { Clock } from "../../../services/kernel/clock.ts";
import type { Random } from "../../../services/kernel/ids.ts";
import type { Chances, Link } from "./link.ts";

/** What came out is thrown away in pieces of this size, so that a long queue does not cost a copy for each message. */
const compactAt = 1024;
/** What could arrive so soon after the message before it arrives with it, as segments of one connection do. */
const togetherMs = 1;
/** What rounding takes off. */
const earlyMs = 1e-6;

export interface PipeOptions<Frame> {
  /** The receiver's. */
  readonly clock: Clock;
  readonly random: Random;
  readonly link: Link;
  readonly open: boolean;
  readonly receive: (frame: Frame) => void;
  /** True for the way to the client, whose own queue may lag. */
  readonly toClient?: boolean;
}

export class Pipe<Frame> {
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly link: Link;
  private readonly receive: (frame: Frame) => void;
  private readonly toClient: boolean;
  private readonly fire = (): void => this.onTimer();
  private frames: Frame[] = [];
  private due: number[] = [];
  private head = 0;
  /** Sent while the direction did not pass. */
  private held: Frame[] = [];
  private armed = false;
  private firing = false;
  private open: boolean;
  private closed = false;

  constructor(options: PipeOptions<Frame>) {
    this.clock = options.clock;
    this.random = options.random;
    this.link = options.link;
    this.receive = options.receive;
    this.toClient = options.toClient ?? false;
    this.open = options.open;
  }

  /** What was sent and has not come out. */
  get waiting(): number {
    return this.frames.length - this.head + this.held.length;
  }

  send(frame: Frame, extraMs = 0): void {
    if (this.closed) return;
    if (!this.open) {
      this.held.push(frame);
      return;
    }
    const now = this.clock.mono();
    const at = now + this.latency() + extraMs;
    // Whatever it takes itself, it waits for those before it.
    const before = this.due.length > this.head ? (this.due.at(-1) as number) : 0;
    const isTogether = at - before < togetherMs && now + this.link.latencyMs[0] <= before;
    this.frames.push(frame);
    this.due.push(isTogether ? before : at);
    if (this.armed || this.firing) return;
    this.armed = true;
    this.clock.after(at - now, this.fire);
  }

  /** Sends one message to which one of these things may happen. */
  sendBy(chances: Chances, frame: Frame): void {
    if (chances.lose > 0 && this.random.next() < chances.lose) return;
    const times = chances.double > 0 && this.random.next() < chances.double ? 2 : 1;
    for (let n = 0; n < times; n += 1) {
      if (this.open && chances.reorder > 0 && this.random.next() < chances.reorder) {
        this.sendAside(frame, this.latency() + chances.delayMs * this.random.next());
      } else {
        const late = chances.delay > 0 && this.random.next() < chances.delay;
        this.send(frame, late ? chances.delayMs * this.random.next() : 0);
      }
    }
  }

  /** Lets pass, or holds, what is sent from now on; what was held goes on its way. */
  pass(open: boolean): void {
    this.open = open;
    if (!open || this.held.length === 0) return;
    const { held } = this;
    this.held = [];
    for (const frame of held) this.send(frame);
  }

  /** What is on its way is lost; what is sent later is not. */
  clear(): void {
    this.frames = [];
    this.due = [];
    this.held = [];
    this.head = 0;
  }

  /** Nothing comes out any more. */
  close(): void {
    this.closed = true;
    this.clear();
  }

  /** What is on its way never arrives, and this does, at once. */
  replaceBy(frame: Frame): void {
    this.close();
    this.sendAside(frame, 0, true);
  }

  private sendAside(frame: Frame, ms: number, whenClosed = false): void {
    this.clock.after(ms, () => {
      if (whenClosed || !this.closed) this.receive(frame);
    });
  }

  private latency(): number {
    const { latencyMs, lagMs } = this.link;
    const [least, most] = latencyMs;
    const way = least === most ? least : least + (most - least) * this.random.next();
    return this.toClient ? way + lagMs : way;
  }

  private onTimer(): void {
    this.armed = false;
    this.firing = true;
    const now = this.clock.mono() + earlyMs;
    while (this.head < this.frames.length && (this.due[this.head] as number) <= now) {
      const frame = this.frames[this.head] as Frame;
      this.head += 1;
      this.receive(frame);
    }
    this.firing = false;
    const left = this.frames.length - this.head;
    if (left === 0) {
      this.frames.length = 0;
      this.due.length = 0;
      this.head = 0;
      return;
    }
    if (this.head >= compactAt) {
      this.frames.splice(0, this.head);
      this.due.splice(0, this.head);
      this.head = 0;
    }
    this.armed = true;
    this.clock.after(Math.max(0, (this.due[this.head] as number) - now), this.fire);
  }
}
