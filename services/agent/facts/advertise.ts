// The address of this machine that other nodes reach. Asks the system directly: called by main.ts only.
import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { networkInterfaces } from "node:os";

/**
 * The local address on the way to the NATS server, which the other nodes reach too: on its loopback address everything is
 * on one machine. The route is asked for without sending anything, so the server need not run. A server whose name
 * cannot be resolved leaves the first address of a network card.
 */
export async function detectAdvertise(servers: string): Promise<string> {
  const first = servers.split(",")[0]?.trim() ?? "";
  try {
    const url = new URL(first.includes("://") ? first : `nats://${first}`);
    const { address, family } = await lookup(url.hostname.replace(/^\[|\]$/g, ""));
    const local = await localAddressTo(address, family === 6 ? "udp6" : "udp4");
    return isLoopback(local) ? "127.0.0.1" : local;
  } catch {
    return firstCard() ?? "127.0.0.1";
  }
}

/** Connecting a datagram socket only fixes the route. */
function localAddressTo(address: string, type: "udp4" | "udp6"): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(type);
    socket.once("error", (error) => {
      socket.close();
      reject(error);
    });
    // Any port will do.
    socket.connect(9, address, () => {
      const local = socket.address().address;
      socket.close();
      resolve(local);
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
