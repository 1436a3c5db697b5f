// Port for TCP.
import type { SwainError } from "./errors.ts";

/** One end of a connection: an IPv4 or IPv6 address without a zone, and a port. */
export interface SocketEnd {
  readonly address: string;
  readonly port: number;
}

/**
 * One TCP connection, reduced to what a proxy needs. Nothing is read from it before `pipe`, so what the peer sends
 * early waits in the kernel, and its leaving is noticed then.
 */
export interface Connection {
  /** Bytes carried away from here by `pipe` so far. */
  readonly carried: number;
  /** The peer's end; undefined when it is gone already. Asked of the system each time. */
  peer(): SocketEnd | undefined;
  /** Our end; undefined when the connection is gone. */
  local(): SocketEnd | undefined;
  /** Sends a few bytes before anything that `pipe` carries here. A failure shows in `pipe`. */
  send(data: Uint8Array): void;
  /**
   * Joins two connections of the same `Sockets` both ways, with back-pressure and half-close; resolves when both are
   * closed. A peer's end is passed on after its last byte; a peer's reset is passed on as a reset, so that a body cut
   * short is never taken for a whole one.
   */
  pipe(other: Connection): Promise<PipeResult>;
  /** Drops the connection at once, with a reset where the system can. */
  destroy(): void;
}

/** What a finished pipe did. */
export interface PipeResult {
  /** Bytes carried from this connection to the other. */
  readonly bytesSent: number;
  /** Bytes carried from the other connection to this one. */
  readonly bytesReceived: number;
  /** True when an error or `destroy` ended it. */
  readonly failed: boolean;
}

/** A listening socket. */
export interface Listener {
  readonly address: string;
  readonly port: number;
  /** Stops accepting; open connections live on. */
  close(): Promise<void>;
}

/** Says why an IP address must not be connected to, asked after a name is looked up and before anything is sent; undefined = it may. */
export type Refuse = (address: string) => SwainError | undefined;

export interface Sockets {
  /** Opens a connection. Rejects with a SwainError of code CONNECT_FAILED or CONNECT_TIMEOUT, or with what `refuse` gave. */
  connect(host: string, port: number, timeoutMs: number, refuse?: Refuse): Promise<Connection>;
  /**
   * Accepts connections; port 0 lets the system choose. Rejects with a SwainError of code PORT_IN_USE or LISTEN_FAILED.
   * `onError` hears of connections that could not be accepted (no more file descriptors); the listener goes on.
   */
  listen(
    host: string,
    port: number,
    onConnection: (connection: Connection) => void,
    onError?: (error: SwainError) => void,
  ): Promise<Listener>;
  /** True when a TCP connect succeeds within the time; the connection is closed at once. */
  probe(host: string, port: number, timeoutMs: number): Promise<boolean>;
  /**
   * Sends a request and gives the first line of the answer, of at most 1 KiB, within the time. Rejects with a SwainError
   * of code CONNECT_FAILED or CONNECT_TIMEOUT, or with what `refuse` gave.
   */
  ask(host: string, port: number, request: Uint8Array, timeoutMs: number, refuse?: Refuse): Promise<string>;
  /** IP addresses of this machine's network interfaces now. */
  localAddresses(): string[];
  /** A TCP port of this address that was free a moment ago. */
  freePort(host: string): Promise<number>;
  /** True when the port can be bound at this address now. */
  canBind(host: string, port: number): Promise<boolean>;
}
