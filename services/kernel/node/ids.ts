// Identifiers and chance from the system's random source, for real processes.
import { randomBytes } from "node:crypto";
import type { Ids, Random } from "../ids.ts";

const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";
/** 22 signs of 36 carry 113 bits: no two ids of a fleet are ever equal. */
const idLength = 22;
/** Bytes from here on are thrown away, so that every sign is equally likely. */
const fairBelow = 256 - (256 % alphabet.length);

/** Ids nobody can guess. */
export const systemIds: Ids = {
  next(): string {
    let id = "";
    while (id.length < idLength) {
      for (const byte of randomBytes(idLength + 8)) {
        if (byte < fairBelow && id.length < idLength) id += alphabet[byte % alphabet.length];
      }
    }
    return id;
  },
};

/** Chance that need not be secret: jitter and sampling. */
export const systemRandom: Random = { next: () => Math.random() };
