// Proves a user by its nkey with the system's Ed25519. The client's own JavaScript Ed25519 gives the same and takes a tenth
// of a second, which every command of the CLI would wait for. Only the text form of keys is handled here.
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import type { NKeyAuth } from "nats";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/** First byte of a user's public key, so that its text begins with U. */
const userPrefix = 20 << 3;
/** What precedes the 32 bytes of an Ed25519 seed in PKCS #8 (RFC 8410). */
const pkcs8 = Buffer.from("302e020100300506032b657004220420", "hex");
/** A seed's text: two bytes of kind, the seed, a checksum. */
const seedBytes = 32;

/** Answers a server's challenge with that seed, `SU…`. Throws when its checksum is wrong; the error does not tell the seed. */
export function nkeySigner(seed: string): (nonce?: string) => NKeyAuth {
  const bytes = decode(seed);
  const body = bytes.subarray(0, -2);
  if (body.length !== seedBytes + 2 || bytes.readUInt16LE(body.length) !== checksum(body)) {
    throw new Error("not an nkey seed: its checksum is wrong");
  }
  const der = Buffer.concat([pkcs8, body.subarray(2)]);
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const raw = createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-seedBytes);
  const nkey = encode(Buffer.concat([Buffer.from([userPrefix]), raw]));
  return (nonce = "") => ({ nkey, sig: nonce === "" ? "" : sign(null, Buffer.from(nonce), key).toString("base64") });
}

/** True for a user's public key, `U…`, whose checksum is right: a server takes no configuration that names any other. */
export function isUserKey(text: string): boolean {
  if (!/^U[A-Z2-7]{55}$/.test(text)) return false;
  const bytes = decode(text);
  const body = bytes.subarray(0, -2);
  return body[0] === userPrefix && bytes.readUInt16LE(body.length) === checksum(body);
}

/** Base 32 without padding. */
function decode(text: string): Buffer {
  const bytes: number[] = [];
  let bits = 0;
  let value = 0;
  for (const letter of text) {
    value = (value << 5) | alphabet.indexOf(letter);
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes.push((value >> bits) & 0xff);
    value &= (1 << bits) - 1;
  }
  return Buffer.from(bytes);
}

/** Base 32 of the bytes and their checksum. */
function encode(body: Buffer): string {
  const sum = Buffer.alloc(2);
  sum.writeUInt16LE(checksum(body));
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of Buffer.concat([body, sum])) {
    value = (value << 8) | byte;
    bits += 8;
    for (; bits >= 5; bits -= 5) text += alphabet[(value >> (bits - 5)) & 31];
    value &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + alphabet[(value << (5 - bits)) & 31];
}

/** CRC-16/XMODEM. */
function checksum(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
    crc &= 0xffff;
  }
  return crc;
}
