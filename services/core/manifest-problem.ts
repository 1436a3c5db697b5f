// What the manifest checks answer with.

type ProblemCode =
  | "UNKNOWN_FIELD"
  | "UNKNOWN_KIND"
  | "WRONG_TYPE"
  | "OUT_OF_RANGE"
  | "REQUIRED"
  | "BAD_VALUE"
  | "DUPLICATE";

/** One thing wrong with a document. */
export interface ManifestProblem {
  /** JSON pointer to the place; empty for the document itself. */
  readonly path: string;
  readonly code: ProblemCode;
  readonly message: string;
  /** The offending value; absent when something is missing. */
  readonly value?: unknown;
}
