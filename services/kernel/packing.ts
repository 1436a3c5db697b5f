// The port for making bytes smaller, and for knowing them again. `node/packing.ts` is the real one.

export interface Packing {
  pack(data: Uint8Array): Uint8Array;
  /** Throws when it is not what `pack` gives, or longer than `most` bytes when unpacked. */
  unpack(data: Uint8Array, most: number): Uint8Array;
  /** SHA-256, in hex. */
  sha256(data: Uint8Array): string;
}
