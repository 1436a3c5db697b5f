// What people are told of a part that connects for ever: why the bus cannot be used, once for each reason, and when it can.
// The log has each try; this is for those who do not read it. Not told of: a bus that was lost later, which heals itself.
import type { SwainError } from "../kernel/errors.ts";

/** Hears why the bus cannot be used, and null when it can after that. */
export type TellBus = (problem: SwainError | null) => void;

/** Shared by all connections of a process: thousands of simulated nodes have the same to say. */
export class ConnectNews {
  private readonly tell: TellBus;
  /** Connections that failed and are not through yet. */
  private readonly failing = new Set<string>();
  private readonly told = new Set<string>();

  constructor(tell: TellBus) {
    this.tell = tell;
  }

  failed(connection: string, problem: SwainError): void {
    this.failing.add(connection);
    if (this.told.has(problem.code)) return;
    this.told.add(problem.code);
    this.tell(problem);
  }

  through(connection: string): void {
    if (!this.failing.delete(connection) || this.failing.size > 0) return;
    this.told.clear();
    this.tell(null);
  }
}
