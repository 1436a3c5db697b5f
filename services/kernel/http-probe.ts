// Port for asking a program over HTTP whether it is well. Only the status counts: no body is read, no redirect followed.

export interface HttpProbeRequest {
  readonly host: string;
  readonly port: number;
  /** Begins with a slash. */
  readonly path: string;
  /** The Host header; null for the address. */
  readonly hostHeader: string | null;
  /** From the first packet to the end of the answer's head, milliseconds. */
  readonly timeoutMs: number;
}

/** `reached` is false when no connection was made. `failed` is for people. */
export type HttpProbeAnswer = { readonly status: number } | { readonly failed: string; readonly reached: boolean };

export interface HttpProbe {
  /** Sends one GET on a connection of its own. Never rejects. */
  get(request: HttpProbeRequest): Promise<HttpProbeAnswer>;
}
