// Node's own TCP handles, the layer below its streams, typed as far as they are used. Node lists `process.binding` as
// deprecated in its documents without a date; where it is gone or looks different, `tcpBinding` gives undefined and the
// streams are used. The shapes were the same in Node 20, 22 and 24.

/** A number below zero is an error of the event loop's library. */
export type Status = number;

export interface TcpHandle {
  /** Called for each read; what it returns, if anything, is the buffer of the next read. */
  onread: (this: TcpHandle) => Uint8Array | undefined;
  onconnection: (status: Status, handle: TcpHandle) => void;
  /** Ours: the connection this handle belongs to. */
  owner?: unknown;
  readonly writeQueueSize: number;
  bind(address: string, port: number): Status;
  bind6(address: string, port: number, flags: number): Status;
  listen(backlog: number): Status;
  connect(request: ConnectRequest, address: string, port: number): Status;
  connect6(request: ConnectRequest, address: string, port: number): Status;
  getsockname(into: { address?: string; port?: number }): Status;
  getpeername(into: { address?: string; port?: number }): Status;
  setNoDelay(on: boolean): Status;
  setKeepAlive(on: boolean, afterSeconds: number): Status;
  useUserBuffer(buffer: Uint8Array): void;
  readStart(): Status;
  readStop(): Status;
  writeBuffer(request: WriteRequest, data: Uint8Array): Status;
  /** 1 when it was done at once. */
  shutdown(request: ShutdownRequest): Status;
  close(done?: () => void): void;
  /** Closes with a reset. */
  reset(done?: () => void): Status;
}

interface ConnectRequest {
  oncomplete: (status: Status) => void;
}

export interface WriteRequest {
  oncomplete: (status: Status) => void;
  /** Ours: keeps the bytes alive until they are written. */
  buffer?: Uint8Array | undefined;
}

export interface ShutdownRequest {
  oncomplete: (status: Status) => void;
}

export interface TcpBinding {
  newServer(): TcpHandle;
  newSocket(): TcpHandle;
  newConnect(): ConnectRequest;
  newWrite(): WriteRequest;
  newShutdown(): ShutdownRequest;
  /** Bytes of the read that is being told, or its error. */
  readResult(): number;
  /** True when the last write did not finish at once. */
  writeWaits(): boolean;
}

interface RawTcp {
  readonly TCP: new (type: number) => TcpHandle;
  readonly TCPConnectWrap: new () => ConnectRequest;
  readonly constants: { readonly SOCKET: number; readonly SERVER: number };
}

interface RawStream {
  readonly WriteWrap: new () => WriteRequest;
  readonly ShutdownWrap: new () => ShutdownRequest;
  readonly streamBaseState: Int32Array;
  readonly kReadBytesOrError: number;
  readonly kLastWriteWasAsync: number;
}

const methods = [
  ...(["bind", "bind6", "listen", "connect", "connect6", "getsockname", "setNoDelay", "setKeepAlive"] as const),
  ...(["getpeername", "useUserBuffer", "readStart", "readStop", "writeBuffer", "shutdown", "close", "reset"] as const),
];

/** The handles of this Node; undefined where it does not offer them in the known shape. */
export function tcpBinding(): TcpBinding | undefined {
  try {
    const node = process as unknown as { binding(name: string): unknown };
    const tcp = node.binding("tcp_wrap") as RawTcp;
    const stream = node.binding("stream_wrap") as RawStream;
    return fits(tcp, stream) ? bindingOf(tcp, stream) : undefined;
  } catch {
    return undefined;
  }
}

function fits(tcp: RawTcp, stream: RawStream): boolean {
  const prototype = tcp.TCP.prototype as unknown as Record<string, unknown>;
  const { WriteWrap, ShutdownWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } = stream;
  return (
    methods.every((name) => typeof prototype[name] === "function") &&
    [tcp.TCPConnectWrap, WriteWrap, ShutdownWrap].every((wrap) => typeof wrap === "function") &&
    [tcp.constants.SOCKET, tcp.constants.SERVER].every(Number.isInteger) &&
    [streamBaseState[kReadBytesOrError], streamBaseState[kLastWriteWasAsync]].every(Number.isInteger)
  );
}

function bindingOf(tcp: RawTcp, stream: RawStream): TcpBinding {
  const { streamBaseState: state, kReadBytesOrError, kLastWriteWasAsync } = stream;
  return {
    newServer: () => new tcp.TCP(tcp.constants.SERVER),
    newSocket: () => new tcp.TCP(tcp.constants.SOCKET),
    newConnect: () => new tcp.TCPConnectWrap(),
    newWrite: () => new stream.WriteWrap(),
    newShutdown: () => new stream.ShutdownWrap(),
    readResult: () => state[kReadBytesOrError] ?? 0,
    writeWaits: () => state[kLastWriteWasAsync] !== 0,
  };
}
