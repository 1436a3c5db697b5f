// The header by which a backend learns the client's address, as HAProxy's PROXY protocol defines it
// (https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt). Pure.
import type { SocketEnd } from "../kernel/sockets.ts";

/** The ends of the client's connection to the proxy. */
export interface ClientEnds {
  readonly source: SocketEnd;
  readonly destination: SocketEnd;
}

const signature = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const versionTwo = 0x20;
const local = 0x00;
const proxied = 0x01;
const tcp4 = 0x11;
const tcp6 = 0x21;
const ascii = new TextEncoder();

/** The header for a client; without ends it says that they are not known. */
export function clientHeader(version: 1 | 2, ends: ClientEnds | undefined): Uint8Array {
  const family = ends === undefined ? undefined : sameFamily(ends);
  if (version === 1) return ascii.encode(family === undefined ? "PROXY UNKNOWN\r\n" : lineOf(family));
  return family === undefined ? binary(proxied, 0, []) : binaryOf(family);
}

/** The header of a connection the proxy makes for itself, such as a check. */
export function ownHeader(version: 1 | 2): Uint8Array {
  return version === 1 ? ascii.encode("PROXY UNKNOWN\r\n") : binary(local, 0, []);
}

interface Family {
  readonly six: boolean;
  readonly source: readonly number[];
  readonly destination: readonly number[];
  readonly ports: readonly [number, number];
}

/** Both addresses as bytes of one family: of IPv4 when both are, also where a socket for both shows them as IPv6. */
function sameFamily({ source, destination }: ClientEnds): Family | undefined {
  const from = bytesOf(source.address);
  const to = bytesOf(destination.address);
  if (from === undefined || to === undefined) return undefined;
  const ports = [source.port, destination.port] as const;
  if (from.length === to.length) return { six: from.length === 16, source: from, destination: to, ports };
  return { six: true, source: mapped(from), destination: mapped(to), ports };
}

const mappedPrefix = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
const mapped = (bytes: readonly number[]): readonly number[] =>
  bytes.length === 16 ? bytes : [...mappedPrefix, ...bytes];

/** 4 bytes, also for `::ffff:1.2.3.4`, or 16; undefined for what is no address. */
function bytesOf(address: string): number[] | undefined {
  const [bare = ""] = address.split("%");
  if (!bare.includes(":")) return fourOf(bare);
  const tail = /^(?:.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(bare)?.[1];
  const four = tail === undefined ? undefined : fourOf(tail);
  const plain =
    tail === undefined || four === undefined ? bare : `${bare.slice(0, -tail.length)}${pair(four, 0)}:${pair(four, 2)}`;
  const [left = "", right, ...more] = plain.split("::");
  if (more.length > 0) return undefined;
  const head = groupsOf(left);
  const rest = right === undefined ? [] : groupsOf(right);
  const missing = 8 - head.length - rest.length;
  if (right === undefined ? missing !== 0 : missing < 0) return undefined;
  const groups = [...head, ...Array<number>(missing).fill(0), ...rest];
  if (!groups.every((group) => group >= 0 && group <= 0xffff)) return undefined;
  const bytes = groups.flatMap((group) => [group >> 8, group & 0xff]);
  return mappedPrefix.every((byte, index) => bytes[index] === byte) ? bytes.slice(12) : bytes;
}

function fourOf(text: string): number[] | undefined {
  const parts = text.split(".").map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : -1));
  return parts.length === 4 && parts.every((part) => part >= 0 && part <= 255) ? parts : undefined;
}

const pair = (bytes: readonly number[], at: number): string =>
  (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16);

const groupsOf = (text: string): number[] =>
  text === "" ? [] : text.split(":").map((group) => (/^[\da-f]{1,4}$/i.test(group) ? Number.parseInt(group, 16) : -1));

/** `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n`, at most 107 bytes. */
function lineOf({ six, source, destination, ports }: Family): string {
  const text = (bytes: readonly number[]): string =>
    six ? Array.from({ length: 8 }, (_, group) => pair(bytes, 2 * group)).join(":") : bytes.join(".");
  return `PROXY ${six ? "TCP6" : "TCP4"} ${text(source)} ${text(destination)} ${ports[0]} ${ports[1]}\r\n`;
}

function binaryOf({ six, source, destination, ports }: Family): Uint8Array {
  const portBytes = ports.flatMap((port) => [port >> 8, port & 0xff]);
  return binary(proxied, six ? tcp6 : tcp4, [...source, ...destination, ...portBytes]);
}

function binary(command: number, family: number, body: readonly number[]): Uint8Array {
  return Uint8Array.from([...signature, versionTwo | command, family, body.length >> 8, body.length & 0xff, ...body]);
}
