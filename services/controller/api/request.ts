// What the handlers of the API get and give.
import type { Validator } from "../../../schemas/generated/validator.ts";
import type { Accepted, AutoscaleEvaluation, EventItem } from "../../../schemas/generated/types.ts";
import type { Key, ReadState } from "../../core/model.ts";
import { SwainError } from "../../kernel/errors.ts";
import type { UsageStore } from "../autoscale/usage.ts";
import type { Proxies } from "../nodes/proxies.ts";
import type { Context } from "../ports.ts";
import type { Admission } from "../term/changes.ts";

export interface ApiRequest {
  /** Undefined for `_`: no namespace, or all of them. */
  readonly namespace: string | undefined;
  readonly body: unknown;
}

/** What a term offers its API. */
export interface ApiHost {
  readonly context: Context;
  readonly state: ReadState;
  /** Without an operation id nothing is remembered: the change must be one that may be said twice. */
  change(operation: string | undefined, admit: (state: ReadState) => Admission): Promise<Accepted>;
  /** Resolves when the state reaches that sequence; rejects with TIMEOUT when it does not in time. */
  reached(sequence: number): Promise<void>;
  /** Takes note that an external endpoint was renewed. */
  renewed(endpoint: string): void;
  /** What is on its way into the log. */
  underWay(): readonly EventItem[];
  /** What agents measured. */
  readonly usage: Pick<UsageStore, "pod" | "node">;
  /** What an autoscaler sees and would do now; null when there is none of that key. */
  readonly explain: (autoscaler: Key) => AutoscaleEvaluation | null;
  /** Proxies heard lately. */
  readonly proxies: Pick<Proxies, "ids" | "object">;
  /** Has projections and snapshot made anew. */
  readonly rebuild: () => void;
  /** More for cluster.status. */
  status(): Record<string, unknown>;
}

export type Handler = (host: ApiHost, request: ApiRequest) => Promise<unknown>;

const problemsShown = 5;

/** The body when it fits the schema. Throws INVALID_REQUEST with what does not fit. */
export function checked<T>(validator: Validator<T>, schema: string, body: unknown): T {
  if (validator(body)) return body;
  const problems = (validator.errors ?? [])
    .slice(0, problemsShown)
    .map(({ instancePath, message }) => `${instancePath === "" ? "the body" : instancePath} ${message ?? "is wrong"}`);
  throw new SwainError("INVALID_REQUEST", `${problems.join("; ")} (schemas/messages/${schema}.schema.json)`);
}

/** The namespace, where one is needed. Throws INVALID_REQUEST. */
export function namespaced({ namespace }: ApiRequest): string {
  if (namespace === undefined)
    throw new SwainError("INVALID_REQUEST", 'this verb needs a namespace in its subject, not "_"');
  return namespace;
}
