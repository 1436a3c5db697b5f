// The address of this machine that other nodes reach. Asks the system directly: called by main.ts only.
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { keepLine, keptLine } from "../kept.ts";
import type { Memory } from "../kept.ts";

/**
 * The local address on the way to the NATS server, which the other nodes reach too: on its loopback address everything is
 * on one machine. The route is asked for without sending anything, so the server need not run. While there is no way, as
 * before the network is up or where the server's name cannot be resolved, it is the address that was found last, which
 * `memory` keeps, else the first of a network card.
 */
export async function detectAdvertise(servers: string, memory: Memory | null): Promise<string> {
  const first = servers.split(",")[0]?.trim() ?? "";
  try {
    const url = new URL(first.includes("://") ? first : `nats://${first}`);
    const { address, family } = await lookup(url.hostname.replace(/^\[|\]$/g, ""));
    const local = await localAddressTo(address, family === 6 ? "udp6" : "udp4");
    const found = isLoopback(local) ? "127.0.0.1" : local;
    if (memory !== null) await keepLine(memory, found);
    return found;
  } catch {
    return (memory && (await keptAddress(memory))) ?? firstCard() ?? "127.0.0.1";
  }
}

/** An address alone: what else may stand there is not told to others. */
async function keptAddress(memory: Memory): Promise<string | null> {
  const kept = await keptLine(memory);
  return kept === null || isIP(kept) === 0 ? null : kept;
}

/** Connecting a datagram socket only fixes the route. Rejects where there is none. */
function localAddressTo(address: string, type: "udp4" | "udp6"): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(type);
    // Any port will do. A refused connect is told to its callback, and not to listeners of errors.
    socket.connect(9, address, (error?: Error) => {
      if (error !== undefined && error !== null) {
        socket.close();
        reject(error);
        return;
      }
      const local = socket.address().address;
      socket.close();
      if (local === "0.0.0.0" || local === "::") reject(new Error(`no address leads to ${address}`));
      else resolve(local);
    });
  });
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.") || address.startsWith("::ffff:127.");
}

function firstCard(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find((address) => !address.internal && address.family === "IPv4")?.address;
}
