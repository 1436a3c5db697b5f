// Ports for identity and chance: real processes draw from the system, a simulation from its seed.

/** Makes identifiers. */
export interface Ids {
  /** A new id: 22 lower-case letters and digits, safe in subjects, keys and file names. */
  next(): string;
}

/** Draws numbers. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
}
