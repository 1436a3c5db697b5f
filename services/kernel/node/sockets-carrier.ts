// What the two ways to carry bytes have in common: their shape, and their bounds with the reasons.
import type { Sockets } from "../sockets.ts";

/** The part of `Sockets` that carries bytes. */
export type Carrier = Pick<Sockets, "connect" | "listen">;

/** Connections the kernel may hold for us before we accept them; it takes the smaller of this and its own limit. */
export const acceptBacklog = 4096;

/**
 * A peer that vanished without a word is noticed about 10 s after this much silence; a slow but living one stays. With bytes
 * for it under way the system asks nothing: it sends them again, on Linux for some 15 minutes (`tcp_retries2`). Node offers
 * no bound for that, and a connect that goes unanswered is no proof: a living backend whose queue is full answers none either.
 */
export const keepAliveAfterMs = 60_000;

/** How often connections that have lived a while get their keep-alive: short ones never pay the system calls. */
export const keepAliveSweepMs = 15_000;

/** One buffer for the reads of all connections: requests and small answers fit, and a stalled copy of it stays small. */
export const sharedReadBytes = 32 * 1024;

/** A connection that fills the shared buffer reads into one of these, so that big bodies take fewer system calls … */
export const bulkReadBytes = 256 * 1024;

/** … of which there are at most this many (64 MiB); further connections go on with the shared one. */
export const bulkBuffers = 256;
