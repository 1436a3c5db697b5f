// Generated from schemas/**/*.schema.json by `npm run generate`. Do not edit.
import type { ErrorObject } from "ajv";

/** True when the value fits; otherwise `errors` holds every problem. */
export interface Validator<T> {
  (value: unknown): value is T;
  errors?: ErrorObject[] | null;
}
