import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { credsAuthenticator, nkeyAuthenticator, nkeys } from "nats";
import { readCredentials } from "../../services/bus/credentials.ts";
import { isUserKey, nkeySigner } from "../../services/bus/nkey.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "swain-nkey-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const newSeed = (): string => new TextDecoder().decode(nkeys.createUser().getSeed());
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

test("a challenge is answered exactly as the NATS client's own nkeys answer it", () => {
  for (let round = 0; round < 4; round++) {
    const seed = newSeed();
    const nonce = `nonce-${round}`;
    expect(nkeySigner(seed)(nonce)).toEqual(nkeyAuthenticator(bytes(seed))(nonce));
    expect(nkeySigner(seed)()).toEqual(nkeyAuthenticator(bytes(seed))());
  }
});

test("a creds file gives its token beside the signature, as the client reads it", async () => {
  const seed = newSeed();
  const content = `-----BEGIN NATS USER JWT-----
eyJ0eXAi.eyJq-_dGk.c2ln
------END NATS USER JWT------

************************* IMPORTANT *************************
NKEY Seed printed below can be used to sign and prove identity.

-----BEGIN USER NKEY SEED-----
${seed}
------END USER NKEY SEED------
`;
  const path = join(folder, "user.creds");
  writeFileSync(path, content);
  expect((await readCredentials(path))("n1")).toEqual(credsAuthenticator(bytes(content))("n1"));
});

test("a damaged seed, and a file that holds none, are refused without telling what is in them", async () => {
  const seed = newSeed();
  const damaged = seed.slice(0, 20) + (seed[20] === "A" ? "B" : "A") + seed.slice(21);
  const path = join(folder, "seed");
  for (const content of [damaged, `${seed}X`, "", "hello", "-----BEGIN NATS USER JWT-----\n\n"]) {
    writeFileSync(path, content);
    const error: unknown = await readCredentials(path).catch((thrown: unknown) => thrown);
    expect(error, content).toMatchObject({ code: "NATS_DENIED" });
    expect(String(error)).not.toContain(seed.slice(2, 12));
  }
});

test("a public key is told from one with another letter anywhere, of another kind, and from none", () => {
  const key = nkeys.createUser().getPublicKey();
  expect(isUserKey(key)).toBe(true);
  for (let at = 0; at < key.length; at++) {
    const changed = key.slice(0, at) + (key[at] === "A" ? "B" : "A") + key.slice(at + 1);
    expect(isUserKey(changed), changed).toBe(false);
  }
  const others = [
    nkeys.createAccount().getPublicKey(),
    newSeed(),
    `U${"A".repeat(55)}`,
    key.slice(0, -1),
    `${key}A`,
    "",
  ];
  for (const other of others) expect(isUserKey(other), other).toBe(false);
});
