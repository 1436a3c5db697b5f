// The addresses this proxy itself listens on. A backend there would be the proxy: each connection would make the next one,
// until its limit is reached. So no connection is made to them, whoever registered such an address.
import type { Clock } from "../kernel/clock.ts";
import { SwainError } from "../kernel/errors.ts";
import type { Sockets } from "../kernel/sockets.ts";
import type { Listening } from "./listeners.ts";
import { proxyLimits } from "./limits.ts";

export class Own {
  private readonly clock: Clock;
  private readonly sockets: Sockets;
  private readonly byPort = new Map<number, Set<string>>();
  private local: ReadonlySet<string> = new Set();
  private localAt = -Infinity;

  constructor(ports: { readonly clock: Clock; readonly sockets: Sockets }) {
    this.clock = ports.clock;
    this.sockets = ports.sockets;
  }

  /** Takes the listeners as they are now. */
  update(listening: readonly Listening[]): void {
    this.byPort.clear();
    for (const { address, port } of listening) {
      const addresses = this.byPort.get(port) ?? new Set();
      this.byPort.set(port, addresses.add(plainAddress(address)));
    }
  }

  /** True when a connect to this IP address and port would reach this proxy. A name is none: `sockets` sees where it leads. */
  has(address: string, port: number): boolean {
    const addresses = this.byPort.get(port);
    if (addresses === undefined) return false;
    const plain = plainAddress(address);
    if (addresses.has(target(plain))) return true;
    const isIPv4 = !plain.includes(":");
    // A socket for all IPv6 addresses takes IPv4 too, unless the system is told otherwise.
    return (addresses.has("::") || (isIPv4 && addresses.has("0.0.0.0"))) && this.isLocal(plain);
  }

  /** Why nothing is sent to a backend at such an address. */
  refusal(host: string, port: number): SwainError {
    return new SwainError("BACKEND_IS_PROXY", `${host}:${port} is where this proxy itself listens`);
  }

  /** The same sockets, which reject a connect to this proxy with BACKEND_IS_PROXY once a name is looked up. */
  guarded(): Sockets {
    const { sockets } = this;
    const refuse =
      (host: string, port: number) =>
      (address: string): SwainError | undefined =>
        this.has(address, port) ? this.refusal(host, port) : undefined;
    return {
      ...sockets,
      connect: (host, port, timeoutMs) => sockets.connect(host, port, timeoutMs, refuse(host, port)),
      ask: (host, port, request, timeoutMs) => sockets.ask(host, port, request, timeoutMs, refuse(host, port)),
    };
  }

  private isLocal(plain: string): boolean {
    if (/^127(\.\d+){3}$/.test(plain) || plain === "0.0.0.0" || plain === "::1" || plain === "::") return true;
    const now = this.clock.mono();
    if (now - this.localAt >= proxyLimits.localAddressesMs) {
      this.local = new Set(this.sockets.localAddresses().map(plainAddress));
      this.localAt = now;
    }
    return this.local.has(plain);
  }
}

/** Where a connect to "any address" goes. */
const target = (plain: string): string => (plain === "0.0.0.0" ? "127.0.0.1" : plain === "::" ? "::1" : plain);

/** One spelling per address: without a zone, IPv6 in its short form, IPv4 inside IPv6 as IPv4. A name stays as it is. */
export function plainAddress(address: string): string {
  const [bare = ""] = address.split("%");
  if (!bare.includes(":")) return bare;
  const url = `http://[${bare}]`;
  if (!URL.canParse(url)) return bare;
  const short = new URL(url).hostname.slice(1, -1);
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(short);
  if (mapped === null) return short;
  const [high, low] = [parseInt(mapped[1] ?? "", 16), parseInt(mapped[2] ?? "", 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
