// Chance from a seed: the same seed draws the same numbers, on every machine. Each part of a world has a stream of its own,
// so that what one draws does not change what another gets.
import type { Ids, Random } from "../../services/kernel/ids.ts";

const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";
const idLength = 22;

export class Chance {
  private readonly name: string;
  private a: number;
  private b: number;
  private c: number;
  private d = 1;

  constructor(name: string) {
    this.name = name;
    [this.a, this.b, this.c] = [hash(`a ${name}`), hash(`b ${name}`), hash(`c ${name}`)];
    for (let round = 0; round < 12; round += 1) this.bits();
  }

  /** A stream that depends on this one's seed and on `name` alone. */
  stream(name: string): Chance {
    return new Chance(`${this.name}/${name}`);
  }

  /** As `Random` asks for a number in [0, 1), and `Ids` for an id. */
  readonly random: Random = { next: () => this.unit() };
  readonly ids: Ids = { next: () => this.id() };

  unit(): number {
    return this.bits() / 4_294_967_296;
  }

  /** True with this probability. */
  hits(probability: number): boolean {
    return this.unit() < probability;
  }

  /** A number from `least` to below `most`. */
  between(least: number, most: number): number {
    return least + this.unit() * (most - least);
  }

  /** A whole number from `least` to `most`. */
  whole(least: number, most: number): number {
    return Math.floor(this.between(least, most + 1));
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Error("nothing to pick from");
    return items[this.whole(0, items.length - 1)] as T;
  }

  private id(): string {
    let id = "";
    for (let at = 0; at < idLength; at += 1) id += alphabet[this.whole(0, alphabet.length - 1)];
    return id;
  }

  /** 32 bits of sfc32, by Chris Doty-Humphrey (PractRand, public domain). */
  private bits(): number {
    const sum = (this.a + this.b + this.d) | 0;
    this.d = (this.d + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (this.c << 21) | (this.c >>> 11);
    this.c = (this.c + sum) | 0;
    return sum >>> 0;
  }
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value | 0;
}
