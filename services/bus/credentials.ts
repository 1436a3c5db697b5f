// Reads the file a user proves itself with: a NATS creds file (JWT and seed) or a bare nkey seed, told apart by content.
import { readFile } from "node:fs/promises";
import type { Authenticator } from "nats";
import { SwainError } from "../kernel/errors.ts";
import { nkeySigner } from "./nkey.ts";

const seed = /^\s*(SU[A-Z2-7]{56})\s*$/m;
const jwt = /-----BEGIN NATS USER JWT-+\s+([\w.-]+)/;

/** The authenticator for that file. Rejects with NATS_DENIED when it cannot be read or holds neither; never tells its content. */
export async function readCredentials(path: string): Promise<Authenticator> {
  let content: string;
  try {
    content = await readFile(path, "utf8");
  } catch (error) {
    throw new SwainError("NATS_DENIED", `the credentials file ${path} cannot be read`, { cause: error });
  }
  const token = jwt.exec(content)?.[1];
  const found = seed.exec(content)?.[1];
  if (found !== undefined && (token !== undefined || !content.includes("BEGIN NATS USER JWT"))) {
    const signed = signer(found, path);
    return token === undefined ? signed : (nonce) => ({ jwt: token, ...signed(nonce) });
  }
  throw new SwainError("NATS_DENIED", `${path} is neither a NATS creds file nor an nkey seed of a user`);
}

function signer(text: string, path: string): ReturnType<typeof nkeySigner> {
  try {
    return nkeySigner(text);
  } catch (error) {
    throw new SwainError("NATS_DENIED", `the nkey seed in ${path} is damaged`, { cause: error });
  }
}
