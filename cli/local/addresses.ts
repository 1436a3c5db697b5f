// Under which addresses other machines reach this one.
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { hostText } from "../../services/bus/embedded/config.ts";

/** Cards of container engines and virtual machines: no other machine gets anywhere by them. */
const inner = /^(docker|br-|veth|cni|podman|virbr|vnet|lxc|flannel|cali)/;

/** True for an IP address and for what may be a name, without a port. */
export const isHost = (text: string): boolean =>
  isIP(text) !== 0 || /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/i.test(text);

/** True for the addresses that stand for all of this machine's. */
export const isWildcard = (host: string): boolean => host === "0.0.0.0" || host === "::";

export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));

/** The addresses for others: the advertised ones, else the one listened at, else all cards' that are not for inner use. */
export function outerHosts(listen: string, advertised: readonly string[]): string[] {
  if (advertised.length > 0) return [...advertised];
  if (!isWildcard(listen)) return [listen];
  const cards = Object.entries(networkInterfaces()).filter(([name]) => !inner.test(name));
  const found = cards.flatMap(([, addresses]) => addresses ?? []).filter(({ internal }) => !internal);
  const usable = found.filter(
    ({ address, family }) => !address.startsWith("fe80:") && (listen === "::" || family === "IPv4"),
  );
  return [...new Set(usable.map(({ address }) => address))];
}

/** Where this machine's own parts reach what listens there. */
export function innerHost(listen: string): string {
  if (!isWildcard(listen)) return listen;
  return listen === "::" ? "::1" : "127.0.0.1";
}

/** The address that the nodes of this machine tell others; undefined to have it detected. */
export function nodeAddress(listen: string | undefined, hosts: readonly string[]): string | undefined {
  if (listen === undefined || isLoopback(listen)) return "127.0.0.1";
  if (isIP(listen) !== 0 && !isWildcard(listen)) return listen;
  return outerHosts("0.0.0.0", []).find((host) => isIP(host) !== 0) ?? hosts.find((host) => isIP(host) !== 0);
}

/** `tls://host:port` */
export const serverUrl = (scheme: "tls" | "nats", host: string, port: number): string =>
  `${scheme}://${hostText(host)}:${port}`;
