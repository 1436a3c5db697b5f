/** A started process: controller, agent or proxy. */
export interface Running {
  /** Resolves when it has stopped, rejects when it failed. */
  readonly closed: Promise<void>;
  /** Stops it in order; resolves when all is released. */
  stop(): Promise<void>;
}
