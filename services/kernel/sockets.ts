// Port for TCP.

/** One TCP connection, reduced to what a proxy needs. Half-close: `end` finishes our side, `onEnd` tells of theirs. */
export interface Connection {
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Joins two connections both ways with back-pressure and half-close; resolves when both are closed. */
  pipe(other: Connection): Promise<PipeResult>;
  /** Ends our side after what was written. */
  end(): void;
  /** Drops the connection at once (with a reset where the system can). */
  destroy(): void;
}

/** Bytes moved by a finished pipe, and whether an error ended it. */
export interface PipeResult {
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly failed: boolean;
}

/** A listening socket. */
export interface Listener {
  readonly address: string;
  readonly port: number;
  /** Stops accepting; open connections live on. */
  close(): Promise<void>;
}

export interface Sockets {
  /** Opens a connection. Rejects with a SwainError of code CONNECT_FAILED or CONNECT_TIMEOUT. */
  connect(host: string, port: number, timeoutMs: number): Promise<Connection>;
  /** Accepts connections. Rejects with a SwainError of code PORT_IN_USE or LISTEN_FAILED. */
  listen(host: string, port: number, onConnection: (connection: Connection) => void): Promise<Listener>;
  /** True when a TCP connect succeeds within the time; the connection is closed at once. */
  probe(host: string, port: number, timeoutMs: number): Promise<boolean>;
  /** A TCP port of this address that was free a moment ago. */
  freePort(host: string): Promise<number>;
  /** True when the port can be bound at this address now. */
  canBind(host: string, port: number): Promise<boolean>;
}
