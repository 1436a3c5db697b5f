// Runs closers in the reverse order of their registration, once.

export type Closer = () => void | Promise<void>;

/** Collects what a process opened, so that one call closes it all, last first. */
export class Lifecycle {
  private readonly closers: Closer[] = [];
  private closing: Promise<void> | undefined;

  /** Adds something to close. */
  add(closer: Closer): void {
    this.closers.push(closer);
  }

  /** Closes everything; an error of one closer does not keep the others open, the first one is thrown at the end. */
  close(): Promise<void> {
    this.closing ??= this.run();
    return this.closing;
  }

  private async run(): Promise<void> {
    const errors: unknown[] = [];
    for (const closer of this.closers.toReversed()) {
      try {
        await closer();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
