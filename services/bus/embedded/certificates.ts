// The cluster's own certificate authority and the server certificate it signs: made by `swain up --listen`, kept under its
// data folder. Not a public key infrastructure: the authority signs this one server alone, so there is nothing to revoke.
import { isIP } from "node:net";
import { join } from "node:path";
import { webcrypto } from "node:crypto";
import type * as X509Library from "@peculiar/x509";
import type { Disk } from "../../kernel/disk.ts";
import { SwainError } from "../../kernel/errors.ts";

/** Where the files lie. */
export interface CertificatePaths {
  readonly ca: string;
  readonly caKey: string;
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateOptions {
  readonly cluster: string;
  /** Addresses and names under which clients reach the server; loopback is added. */
  readonly hosts: readonly string[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface Certificates {
  readonly paths: CertificatePaths;
  /** The authority's certificate, PEM. */
  readonly ca: string;
  /** True when the server's certificate was made just now: a running server must read it again. */
  readonly renewed: boolean;
}

const dayMs = 86_400_000;
/** Every joined machine keeps the authority's certificate, so it has to outlive all of them. */
const authorityDays = 20 * 365;
const serverDays = 365;
/** Looked at daily and at each start; a renewal that fails leaves weeks to notice it. */
const renewBeforeDays = 90;
/** A clock of another machine may be behind this one's. */
const backdateMs = dayMs;
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

export function certificatePaths(folder: string): CertificatePaths {
  return {
    ca: join(folder, "ca.pem"),
    caKey: join(folder, "ca-key.pem"),
    certificate: join(folder, "server.pem"),
    key: join(folder, "server-key.pem"),
  };
}

/**
 * Makes what is missing: the authority once, the server's certificate also when it nears its end or lacks one of the hosts.
 * Such a one keeps its key, so that one file takes the place of the other: a server may run on them. All files 0600. Rejects
 * with DISK_ERROR, also for files that are no certificates.
 */
export async function ensureCertificates(
  disk: Disk,
  folder: string,
  options: CertificateOptions,
): Promise<Certificates> {
  const x509 = await load();
  const paths = certificatePaths(folder);
  const authority = (await readAuthority(disk, x509, paths)) ?? (await makeAuthority(disk, x509, paths, options));
  const hosts = [...new Set([...options.hosts, "localhost", "127.0.0.1", "::1"])];
  const held = await readServer(disk, x509, paths, authority);
  const renewed = held === null || !isGood(held, x509, hosts, options.now);
  if (renewed) {
    const publicKey = held?.publicKey ?? (await makeServerKey(disk, x509, paths));
    await makeServer(disk, x509, paths, authority, publicKey, hosts, options);
  }
  return { paths, ca: pem(authority.certificate.toString("pem")), renewed };
}

type X509 = typeof X509Library;
type Certificate = InstanceType<X509["X509Certificate"]>;

interface Authority {
  readonly certificate: Certificate;
  readonly key: webcrypto.CryptoKey;
}

/** Loaded only here: it takes a fifth of a second, which no other command should wait for. */
async function load(): Promise<X509> {
  // The library's dependency injection needs it in place before.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  x509.cryptoProvider.set(webcrypto);
  return x509;
}

async function readAuthority(disk: Disk, x509: X509, paths: CertificatePaths): Promise<Authority | null> {
  const certificate = await disk.read(paths.ca);
  const key = await disk.read(paths.caKey);
  // Both or neither: a new authority beside an old certificate would lock out every joined machine without a word.
  if (certificate === null && key === null) return null;
  if (certificate === null || key === null) {
    throw new SwainError("DISK_ERROR", `of ${paths.ca} and ${paths.caKey} one is missing: restore it, or remove both`);
  }
  try {
    const der = x509.PemConverter.decodeFirst(key);
    return {
      certificate: new x509.X509Certificate(certificate),
      key: await webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]),
    };
  } catch (error) {
    throw new SwainError("DISK_ERROR", `${paths.ca} or ${paths.caKey} is damaged`, { cause: error });
  }
}

async function makeAuthority(
  disk: Disk,
  x509: X509,
  paths: CertificatePaths,
  { cluster, now }: CertificateOptions,
): Promise<Authority> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=swain ${cluster} authority`,
    serialNumber: serial(),
    ...validity(now, authorityDays),
    signingAlgorithm: algorithm,
    keys: keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  await disk.writeAtomic(paths.caKey, await keyPem(x509, keys));
  await disk.writeAtomic(paths.ca, pem(certificate.toString("pem")));
  return { certificate, key: keys.privateKey };
}

/** Writes it and returns its public half. */
async function makeServerKey(disk: Disk, x509: X509, paths: CertificatePaths): Promise<webcrypto.CryptoKey> {
  const keys = await newKeys();
  // A certificate without its key would be taken for good the next time.
  await disk.remove(paths.certificate);
  await disk.writeAtomic(paths.key, await keyPem(x509, keys));
  return keys.publicKey;
}

async function makeServer(
  disk: Disk,
  x509: X509,
  paths: CertificatePaths,
  authority: Authority,
  publicKey: webcrypto.CryptoKey | Certificate["publicKey"],
  hosts: readonly string[],
  { cluster, now }: CertificateOptions,
): Promise<void> {
  const names = hosts.map((host) => ({ type: isIP(host) === 0 ? ("dns" as const) : ("ip" as const), value: host }));
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=swain ${cluster}`,
    issuer: authority.certificate.subject,
    serialNumber: serial(),
    ...validity(now, serverDays),
    signingAlgorithm: algorithm,
    signingKey: authority.key,
    publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(names),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
    ],
  });
  await disk.writeAtomic(paths.certificate, pem(certificate.toString("pem")));
}

/** The server's certificate, when this authority signed it and its key is there. */
async function readServer(
  disk: Disk,
  x509: X509,
  paths: CertificatePaths,
  authority: Authority,
): Promise<Certificate | null> {
  const text = await disk.read(paths.certificate);
  if (text === null || (await disk.read(paths.key)) === null) return null;
  try {
    const certificate = new x509.X509Certificate(text);
    const { publicKey } = authority.certificate;
    return (await certificate.verify({ publicKey, signatureOnly: true })) ? certificate : null;
  } catch {
    // It is no certificate: a new one takes its place.
    return null;
  }
}

/** True when it is for all hosts and has time left. */
function isGood(certificate: Certificate, x509: X509, hosts: readonly string[], now: number): boolean {
  if (certificate.notAfter.getTime() - now < renewBeforeDays * dayMs) return false;
  const { names } = certificate.getExtension(x509.SubjectAlternativeNameExtension) ?? {};
  const held = new Set(names?.toJSON().map(({ value }) => value));
  return hosts.every((host) => held.has(host));
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

async function keyPem(x509: X509, keys: webcrypto.CryptoKeyPair): Promise<string> {
  return pem(x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY"));
}

function validity(now: number, days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now - backdateMs), notAfter: new Date(now + days * dayMs) };
}

/** Positive and unguessable, as RFC 5280 asks for: 16 random bytes with the first bit clear. */
function serial(): string {
  const bytes = Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

const pem = (text: string): string => `${text.trim()}\n`;
