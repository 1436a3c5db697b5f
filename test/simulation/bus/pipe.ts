// One direction of one connection: what goes in comes out later and in order, at a time of the receiver's clock. So a
// paused process gets what waits for it when it goes on, and a killed one never.
import type { Clock } from "../../../services/kernel/clock.ts";
import type { Random } from "../../../services/kernel/ids.ts";
import type { Chances, Link } from "./link.ts";

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

/** A frame on its way, and the one behind it. */
interface Way<Frame> {
  readonly frame: Frame;
  readonly due: number;
  next: Way<Frame> | undefined;
}

export class Pipe<Frame> {
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly link: Link;
  private readonly receive: (frame: Frame) => void;
  private readonly toClient: boolean;
  private readonly fire = (): void => this.onTimer();
  private first: Way<Frame> | undefined;
  private last: Way<Frame> | undefined;
  private count = 0;
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
    return this.count + this.held.length;
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
    const before = this.last?.due ?? 0;
    const isTogether = at - before < togetherMs && now + this.link.latencyMs[0] <= before;
    const way: Way<Frame> = { frame, due: isTogether ? before : at, next: undefined };
    if (this.last === undefined) this.first = way;
    else this.last.next = way;
    this.last = way;
    this.count += 1;
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
    this.first = undefined;
    this.last = undefined;
    this.count = 0;
    this.held = [];
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
    for (let way = this.first; way !== undefined && way.due <= now; way = this.first) {
      this.first = way.next;
      if (way.next === undefined) this.last = undefined;
      this.count -= 1;
      this.receive(way.frame);
    }
    this.firing = false;
    if (this.first === undefined) return;
    this.armed = true;
    this.clock.after(Math.max(0, this.first.due - now), this.fire);
  }
}
