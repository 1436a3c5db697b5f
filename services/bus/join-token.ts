// The one line that lets a machine join: base64url of JSON. It holds a short-lived key whose only right is to ask, and the
// cluster's certificate authority, so that the asker knows whom it asks. Not credentials: those are made by the joiner.
import { createHash } from "node:crypto";
import { SwainError } from "../kernel/errors.ts";

/** What a joined machine runs. */
export type JoinKind = "agent" | "proxy";

export interface JoinToken {
  readonly id: string;
  readonly kind: JoinKind;
  readonly cluster: string;
  /** `tls://host:port`, or `nats://…` for a cluster without TLS. */
  readonly servers: readonly string[];
  /** The authority's certificate, PEM; null for a cluster without TLS. */
  readonly ca: string | null;
  /** nkey seed of the user `join-<id>`. */
  readonly seed: string;
}

const version = 1;
/** Far above a token with ten addresses; a wrong file given for a token is not parsed. */
const maxLength = 8192;
const frame = /-----BEGIN CERTIFICATE-----([\s\S]+)-----END CERTIFICATE-----/;

export function encodeJoinToken(token: JoinToken): string {
  const { id, kind, cluster, servers, ca, seed } = token;
  // Without its frame and line ends the certificate takes a third less.
  const der = ca === null ? null : (frame.exec(ca)?.[1] ?? "").replaceAll(/\s/g, "");
  const body = { v: version, id, kind, cluster, servers, ca: der, seed };
  return Buffer.from(JSON.stringify({ ...body, sum: sumOf(body) })).toString("base64url");
}

interface Body extends JoinToken {
  readonly v: number;
}

/** Tells a letter changed on the way, say in an address, from one that never was: no proof of who made the line. */
function sumOf({ v, id, kind, cluster, servers, ca, seed }: Body): string {
  const text = JSON.stringify([v, id, kind, cluster, servers, ca, seed]);
  return createHash("sha256").update(text).digest("base64url").slice(0, 8);
}

/** The token of that line. Throws JOIN_TOKEN_INVALID; the message never repeats the line. */
export function decodeJoinToken(text: string): JoinToken {
  const line = text.trim();
  if (line.length > maxLength || !/^[\w-]+$/.test(line)) throw invalid("it is not one line of base64url");
  let body: unknown;
  try {
    body = JSON.parse(Buffer.from(line, "base64url").toString("utf8"));
  } catch (error) {
    throw new SwainError("JOIN_TOKEN_INVALID", "this is no join token: it was cut or changed", { cause: error });
  }
  if (typeof body !== "object" || body === null) throw invalid("it was cut or changed");
  const { v, id, kind, cluster, servers, ca, seed, sum } = body as Record<string, unknown>;
  if (typeof v === "number" && v > version) throw invalid("a newer Swain made it: update this one");
  if (
    v !== version ||
    !isLabel(id) ||
    !isLabel(cluster) ||
    (kind !== "agent" && kind !== "proxy") ||
    !isServers(servers) ||
    (ca !== null && (typeof ca !== "string" || !/^[\w+/=]+$/.test(ca))) ||
    typeof seed !== "string" ||
    !/^SU[A-Z2-7]{56}$/.test(seed)
  ) {
    throw invalid("it was cut or changed");
  }
  // Lines of the first Swain have none.
  if (sum !== undefined && sum !== sumOf({ v: version, id, kind, cluster, servers, ca, seed })) {
    throw invalid("a letter of it was changed");
  }
  return { id, kind, cluster, servers, seed, ca: ca === null ? null : pem(ca) };
}

const isLabel = (value: unknown): value is string =>
  typeof value === "string" && /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(value);

const isServers = (value: unknown): value is string[] =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.every((one) => /^(tls|nats):\/\/[^\s,@/]+:\d{1,5}$/.test(String(one)));

const pem = (der: string): string =>
  `-----BEGIN CERTIFICATE-----\n${der.replaceAll(/(.{64})(?=.)/g, "$1\n")}\n-----END CERTIFICATE-----\n`;

const invalid = (why: string): SwainError => new SwainError("JOIN_TOKEN_INVALID", `this is no join token: ${why}`);
