// The network between one client and the server, as a fault injector bends it while it is in use.

/** Chances, each in [0, 1], for what may happen to single messages. */
export interface Chances {
  readonly lose: number;
  readonly double: number;
  /** To hold a message up, and with it all that follow, for up to `delayMs`. */
  readonly delay: number;
  /** To let what follows overtake, by up to `delayMs`. */
  readonly reorder: number;
  /** To lose a message of a consumer, which it notices by its count. */
  readonly gap: number;
  readonly delayMs: number;
}

/** Least and most time that a message takes, where nothing is wrong, milliseconds. */
export const usualMs: readonly [number, number] = [0.1, 0.5];
const none: Chances = { lose: 0, double: 0, delay: 0, reorder: 0, gap: 0, delayMs: 0 };

/** A connection over the link, as far as the link touches it. */
export interface Linked {
  /** The link's directions pass, or do not pass, from now on. */
  linkChanged(): void;
  /** Both ends learn at once that the connection is gone. */
  reset(): void;
}

export type Direction = "up" | "down";

export class Link {
  /** Least and most that a message takes on the way, milliseconds. */
  latencyMs: readonly [number, number];
  /** So much later the client reads what has come for it, milliseconds: its queue is long, and nothing of it is lost. */
  lagMs = 0;
  private readonly connections = new Set<Linked>();
  private readonly passing = { up: true, down: true };
  private current: Chances | undefined;

  constructor(latencyMs: readonly [number, number] = usualMs) {
    this.latencyMs = latencyMs;
  }

  /** Whether messages to the server pass. What is sent meanwhile waits, as TCP's does. */
  get up(): boolean {
    return this.passing.up;
  }

  set up(passes: boolean) {
    this.pass("up", passes);
  }

  /** Whether messages from the server pass. */
  get down(): boolean {
    return this.passing.down;
  }

  set down(passes: boolean) {
    this.pass("down", passes);
  }

  /** Undefined while nothing happens to messages. */
  get chances(): Chances | undefined {
    return this.current;
  }

  /** From now on, these and no others. */
  disturb(chances: Partial<Chances>): void {
    const wanted = { ...none, ...chances };
    const { lose, double, delay, reorder, gap } = wanted;
    this.current = lose + double + delay + reorder + gap > 0 ? wanted : undefined;
  }

  /** Breaks the connections, as a router that forgot them does. */
  reset(): void {
    for (const connection of this.connections) connection.reset();
  }

  attach(connection: Linked): void {
    this.connections.add(connection);
  }

  detach(connection: Linked): void {
    this.connections.delete(connection);
  }

  private pass(direction: Direction, passes: boolean): void {
    if (this.passing[direction] === passes) return;
    this.passing[direction] = passes;
    for (const connection of this.connections) connection.linkChanged();
  }
}
