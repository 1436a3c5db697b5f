// What a connection over TLS asks of the server. `tls://` demands it; the authority is given as text, or lies as `ca.pem`
// beside the credentials file, or is one the system trusts. `nats://` takes what the server offers, as loopback needs.
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { checkServerIdentity } from "node:tls";
import type { PeerCertificate } from "node:tls";
import type { TlsOptions } from "nats";
import { SwainError } from "../kernel/errors.ts";
import { chain } from "./errors.ts";

/** Options for the client, or undefined when no address demands TLS. Rejects with DISK_ERROR when the file cannot be read. */
export async function tlsOptions(
  servers: readonly string[],
  creds: string | undefined,
  authority: string | undefined,
): Promise<TlsOptions | undefined> {
  if (!servers.some((server) => server.startsWith("tls://"))) return undefined;
  const ca = authority ?? (creds === undefined ? undefined : await readAuthority(join(dirname(creds), "ca.pem")));
  const hosts = servers.map(hostOf);
  const options = {
    ...(ca === undefined ? {} : { ca }),
    // The client gives no name for an address, and the system would then look for `localhost` in the certificate.
    checkServerIdentity: (_name: string, certificate: PeerCertificate): Error | undefined => {
      const faults = hosts.map((host) => checkServerIdentity(host, certificate));
      return faults.includes(undefined) ? undefined : faults[0];
    },
  };
  return options;
}

async function readAuthority(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new SwainError("DISK_ERROR", `cannot read ${path}`, { cause: error });
  }
}

/** The host of `tls://host:port` or `host`. */
function hostOf(server: string): string {
  const url = new URL(server.includes("://") ? server : `nats://${server}`);
  return url.hostname.replace(/^\[|\]$/g, "");
}

/** OpenSSL's words for a certificate that is not to be trusted, and Node's for one of another name. */
const untrusted =
  /^(ERR_TLS_CERT_ALTNAME_INVALID|CERT_.*|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_.*|ERROR_IN_CERT_.*|INVALID_CA|HOSTNAME_MISMATCH)$/;

/** Why the server's certificate was refused, or undefined when that was not the trouble. */
export function certificateFault(error: unknown): string | undefined {
  for (const one of chain(error)) {
    const code = one instanceof Error ? (one as NodeJS.ErrnoException).code : undefined;
    if (typeof code === "string" && untrusted.test(code)) return `${(one as Error).message} (${code})`;
  }
  return undefined;
}
