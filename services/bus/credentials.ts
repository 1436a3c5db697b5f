// Reads the file a user proves itself with: a NATS creds file (JWT and seed) or a bare nkey seed, told apart by content.
import { readFile } from "node:fs/promises";
import { credsAuthenticator, nkeyAuthenticator } from "nats";
import type { Authenticator } from "nats";
import { SwainError } from "../kernel/errors.ts";

const seed = /^SU[A-Z2-7]{56}$/m;

/** The authenticator for that file. Rejects with NATS_DENIED when it cannot be read or holds neither; never tells its content. */
export async function readCredentials(path: string): Promise<Authenticator> {
  let content: string;
  try {
    content = await readFile(path, "utf8");
  } catch (error) {
    throw new SwainError("NATS_DENIED", `the credentials file ${path} cannot be read`, { cause: error });
  }
  if (content.includes("BEGIN NATS USER JWT")) return credsAuthenticator(new TextEncoder().encode(content));
  const found = seed.exec(content)?.[0];
  if (found !== undefined) return nkeyAuthenticator(new TextEncoder().encode(found));
  throw new SwainError("NATS_DENIED", `${path} is neither a NATS creds file nor an nkey seed of a user`);
}
