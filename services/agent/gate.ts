// Lets only so many things run at once; the others wait in line.

export class Gate {
  private readonly limit: number;
  private active = 0;
  private readonly line: (() => void)[] = [];

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Runs `fn` when there is room. `urgent` goes to the head of the line. */
  async run<T>(fn: () => Promise<T>, urgent = false): Promise<T> {
    if (this.active >= this.limit) {
      await new Promise<void>((resolve) => {
        if (urgent) this.line.unshift(resolve);
        else this.line.push(resolve);
      });
    } else {
      this.active += 1;
    }
    try {
      return await fn();
    } finally {
      // The place goes straight to the next in line, so that nobody slips in between.
      const next = this.line.shift();
      if (next === undefined) this.active -= 1;
      else next();
    }
  }
}
