// Carries bytes between two TCP handles. Not a stream: each chunk is written to the other side as soon as it is read, and
// while a write waits, its reader is stopped, so that a slow peer costs one chunk of memory and no more.
import { SwainError } from "../errors.ts";
import type { Connection, PipeResult, SocketEnd } from "../sockets.ts";
import type { ShutdownRequest, Status, TcpBinding, TcpHandle, WriteRequest } from "./sockets-binding.ts";
import { bulkBuffers, bulkReadBytes, keepAliveAfterMs, keepAliveSweepMs, sharedReadBytes } from "./sockets-carrier.ts";

/** libuv's UV_EOF: the peer ended its side. */
const endOfStream = -4095;

/** What a dead socket still holds, a few MiB at most, is carried on for this long, and ends in a reset anyway. */
const wayBackMs = 10_000;

/** What all connections of one carrier share. */
export class HandlePipes {
  readonly tcp: TcpBinding;
  /** Every read that is not bulk lands here and is copied out before the next one. */
  readonly shared = Buffer.allocUnsafeSlow(sharedReadBytes);
  /** A request that no waiting write has taken; most writes finish at once and leave it unused. */
  spareWrite: WriteRequest | undefined;
  private readonly freeBulk: Uint8Array[] = [];
  private bulkMade = 0;
  private readonly young = new Set<Pair>();
  /** Pairs that go on in one direction alone; to look at 10,000 takes 10 ms. */
  private readonly halves = new Set<Pair>();
  private sweeping = false;

  constructor(tcp: TcpBinding) {
    this.tcp = tcp;
  }

  /** A connection over a connected handle. */
  connection(handle: TcpHandle): Connection {
    return new HandleConnection(this, handle);
  }

  /** A buffer for big bodies, or undefined when all are out. */
  takeBulk(): Uint8Array | undefined {
    const free = this.freeBulk.pop();
    if (free !== undefined || this.bulkMade >= bulkBuffers) return free;
    this.bulkMade += 1;
    return Buffer.allocUnsafeSlow(bulkReadBytes);
  }

  giveBulk(buffer: Uint8Array): void {
    this.freeBulk.push(buffer);
  }

  /** Has the pair's keep-alive turned on if it is still open at the sweep after next. */
  watch(pair: Pair): void {
    this.young.add(pair);
    if (this.sweeping) return;
    this.sweeping = true;
    setInterval(() => {
      for (const pair of this.young) if (pair.ageAndKeepAlive()) this.young.delete(pair);
      for (const pair of this.halves) pair.endWithPeer();
    }, keepAliveSweepMs).unref();
  }

  /** Has it noticed, at the sweeps, when a peer is gone whose end was read: nothing is read there that would tell. */
  watchHalf(pair: Pair): void {
    this.halves.add(pair);
  }

  forget(pair: Pair): void {
    this.young.delete(pair);
    this.halves.delete(pair);
  }
}

/** One connection; once piped, the direction from its peer to the other's. */
class HandleConnection implements Connection {
  readonly handle: TcpHandle;
  readonly pipes: HandlePipes;
  pair: Pair | undefined;
  other: HandleConnection | undefined;
  bytes = 0;
  /** What this side reads into when it is not the shared buffer. */
  bulk: Uint8Array | undefined;
  /** A write of what we read is waiting for the other side. */
  waiting = false;
  /** Nothing more will be carried in this direction. */
  over = false;
  /** The other side has been told the end, and that is still under way; a reset is not allowed meanwhile. */
  endingOther = false;
  closed = false;
  /** What should have been sent first could not be: the peer is gone, and as the write has heard of it, the read sees an end. */
  unsent = false;
  /** The end of our peer was read a second time. */
  private endRead = false;

  constructor(pipes: HandlePipes, handle: TcpHandle) {
    this.pipes = pipes;
    this.handle = handle;
    handle.owner = this;
  }

  get carried(): number {
    return this.bytes;
  }

  peer(): SocketEnd | undefined {
    const end: Partial<SocketEnd> = {};
    return this.closed || this.handle.getpeername(end) !== 0 ? undefined : endOf(end);
  }

  local(): SocketEnd | undefined {
    const end: Partial<SocketEnd> = {};
    return this.closed || this.handle.getsockname(end) !== 0 ? undefined : endOf(end);
  }

  send(data: Uint8Array): void {
    if (this.closed) return;
    const { tcp } = this.pipes;
    const request = tcp.newWrite();
    if (this.handle.writeBuffer(request, data) < 0) this.unsent = true;
    if (this.unsent || !tcp.writeWaits()) return;
    // One that waits keeps its bytes; later writes queue behind it.
    request.buffer = data;
    request.oncomplete = (status) => {
      request.buffer = undefined;
      if (status < 0) this.destroy();
    };
  }

  destroy(): void {
    if (this.pair === undefined) this.close(true);
    else this.pair.fail();
  }

  pipe(other: Connection): Promise<PipeResult> {
    if (!(other instanceof HandleConnection) || other.pipes !== this.pipes) {
      throw new SwainError("INTERNAL", "two connections of different kinds cannot be joined");
    }
    return new Promise((resolve) => {
      const pair = new Pair(this, other, resolve);
      if (this.closed || other.closed) pair.fail();
      else pair.start();
    });
  }

  startReading(): void {
    this.handle.onread = onRead;
    this.handle.useUserBuffer(this.pipes.shared);
    if (this.handle.readStart() < 0) this.pair?.fail();
  }

  /**
   * True when an end that was told is no reset. libuv tells a reset that comes together with the last bytes as an end. A
   * connection that still has a peer really was ended; of another kind the socket is read once more, which tells.
   */
  isRealEnd(): boolean {
    if (this.endRead || this.handle.getpeername({}) === 0) return true;
    this.endRead = true;
    return this.handle.readStart() !== 0;
  }

  close(reset: boolean): void {
    if (this.closed) return;
    this.closed = true;
    if (!reset || this.other?.endingOther === true) this.handle.close();
    else this.handle.reset();
    // While a write waits, the system still reads from the buffer; it comes back with the write.
    if (!this.waiting) this.releaseBulk();
  }

  releaseBulk(): void {
    if (this.bulk === undefined) return;
    this.pipes.giveBulk(this.bulk);
    this.bulk = undefined;
  }
}

const endOf = ({ address, port }: Partial<SocketEnd>): SocketEnd | undefined =>
  address === undefined || port === undefined ? undefined : { address, port };

/** Two joined connections. */
class Pair {
  private readonly near: HandleConnection;
  private readonly far: HandleConnection;
  private readonly resolve: (result: PipeResult) => void;
  private old = false;
  private broken = false;
  private finished = false;
  private wayBack: NodeJS.Timeout | undefined;

  constructor(near: HandleConnection, far: HandleConnection, resolve: (result: PipeResult) => void) {
    this.near = near;
    this.far = far;
    this.resolve = resolve;
    near.other = far;
    far.other = near;
    near.pair = this;
    far.pair = this;
  }

  start(): void {
    this.broken = this.near.unsent || this.far.unsent;
    this.near.pipes.watch(this);
    this.near.startReading();
    if (!this.finished) this.far.startReading();
  }

  get isBroken(): boolean {
    return this.broken;
  }

  /** An error that ends both at once: what broke on one side must not look like an orderly end on the other. */
  fail(): void {
    this.broken = true;
    this.finish(true);
  }

  /** The direction from `side` is over; when both are, so is the pair. */
  directionOver(side: HandleConnection): void {
    side.over = true;
    if (side.other?.over === true) this.finish(false);
    else this.near.pipes.watchHalf(this);
  }

  /**
   * Ends the pair when a peer that ended its side is gone: one that waits for an answer has an address still. What the other
   * peer was sent is left to the system to deliver, with the end after it, as that of the peer that is gone would.
   */
  endWithPeer(): void {
    const side = this.near.over ? this.near : this.far;
    if (side.other?.endingOther === true || side.handle.getpeername({}) === 0) return;
    this.broken = true;
    this.finish(false);
  }

  /**
   * What `side` sends cannot be delivered any more. The other side may still hold an answer for it (a server that refuses
   * a body early), so the way back goes on until that ends, which it must: its socket is dead. That end counts as a reset,
   * because the system tells a socket's error once, and the write has heard it. It never comes when `side` takes
   * nothing of the answer because it waits for us to read on first, so there is a bound.
   */
  undeliverable(side: HandleConnection): void {
    this.broken = true;
    side.handle.readStop();
    this.directionOver(side);
    if (!this.finished) this.wayBack ??= setTimeout(() => this.fail(), wayBackMs);
  }

  /** True when keep-alive has been turned on. */
  ageAndKeepAlive(): boolean {
    if (!this.old) {
      this.old = true;
      return false;
    }
    this.near.handle.setKeepAlive(true, keepAliveAfterMs / 1000);
    this.far.handle.setKeepAlive(true, keepAliveAfterMs / 1000);
    return true;
  }

  private finish(reset: boolean): void {
    if (this.finished) return;
    this.finished = true;
    clearTimeout(this.wayBack);
    this.near.pipes.forget(this);
    this.near.close(reset);
    this.far.close(reset);
    this.resolve({ bytesSent: this.near.bytes, bytesReceived: this.far.bytes, failed: this.broken });
  }
}

type OwnedWrite = WriteRequest & { side?: HandleConnection | undefined };
type OwnedShutdown = ShutdownRequest & { side?: HandleConnection };

/** Called by the handle for every read; gives the buffer of the next read when that changes. */
function onRead(this: TcpHandle): Uint8Array | undefined {
  const side = this.owner as HandleConnection;
  const { pipes, other, pair } = side;
  const count = pipes.tcp.readResult();
  if (count === 0 || other === undefined || side.closed) return undefined;
  if (count > 0) {
    side.bytes += count;
    return carry(side, other, count);
  }
  if (count !== endOfStream || pair?.isBroken !== false) pair?.fail();
  else if (side.isRealEnd()) passEnd(side, other);
  return undefined;
}

function carry(side: HandleConnection, other: HandleConnection, count: number): Uint8Array | undefined {
  const { pipes, bulk } = side;
  const data = bulk === undefined ? copyOf(pipes.shared, count) : bulk.subarray(0, count);
  const request: OwnedWrite = pipes.spareWrite ?? pipes.tcp.newWrite();
  pipes.spareWrite = undefined;
  if (other.handle.writeBuffer(request, data) < 0) {
    side.pair?.undeliverable(side);
    return undefined;
  }
  if (pipes.tcp.writeWaits()) {
    request.buffer = data;
    request.side = side;
    request.oncomplete = afterWrite;
    side.waiting = true;
    side.handle.readStop();
  } else {
    pipes.spareWrite = request;
  }
  return nextBuffer(side, count);
}

/** Big bodies get a big buffer of their own, and give it back when they have passed. */
function nextBuffer(side: HandleConnection, count: number): Uint8Array | undefined {
  const { pipes, bulk } = side;
  if (bulk === undefined) {
    if (count < sharedReadBytes) return undefined;
    side.bulk = pipes.takeBulk();
    return side.bulk;
  }
  if (count >= sharedReadBytes || side.waiting) return undefined;
  side.releaseBulk();
  return pipes.shared;
}

function copyOf(shared: Buffer, count: number): Buffer {
  const copy = Buffer.allocUnsafe(count);
  shared.copy(copy, 0, 0, count);
  return copy;
}

function afterWrite(this: OwnedWrite, status: Status): void {
  const { side } = this;
  this.buffer = undefined;
  this.side = undefined;
  if (side === undefined) return;
  side.waiting = false;
  if (side.closed) side.releaseBulk();
  else if (status < 0) side.pair?.undeliverable(side);
  else if (side.handle.readStart() < 0) side.pair?.fail();
}

/** The peer of `side` ended: the other peer is told so, after its last byte. */
function passEnd(side: HandleConnection, other: HandleConnection): void {
  const request: OwnedShutdown = side.pipes.tcp.newShutdown();
  request.side = side;
  request.oncomplete = afterShutdown;
  side.endingOther = true;
  // A status that is not 0 means there is nothing to wait for: done at once, or the other side is gone, as its read will tell.
  if (other.handle.shutdown(request) !== 0) {
    side.endingOther = false;
    side.pair?.directionOver(side);
  }
}

function afterShutdown(this: OwnedShutdown): void {
  const { side } = this;
  if (side === undefined) return;
  side.endingOther = false;
  if (!side.closed) side.pair?.directionOver(side);
}
