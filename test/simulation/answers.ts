// What operators are told, held against the log: a change that was acknowledged is in it, once, one that was refused is not, and
// where one that was acknowledged has no event, the log had all as it was wished.
import type { Accepted, EventItem } from "../../schemas/generated/types.ts";
import { admitApply } from "../../services/core/admit/apply.ts";
import { keyOf, type State } from "../../services/core/model.ts";
import type { Answer } from "./world/operator.ts";

/** Answers that leave open what became of a change. */
const open: ReadonlySet<string> = new Set(["NO_LEADER", "TIMEOUT", "BUSY", "NATS_UNREACHABLE", "BUS_CLOSED"]);
/** What a node is once it was told so. */
const modes: Readonly<Record<string, string>> = { cordon: "cordoned", drain: "draining", uncordon: "active" };

/** A workload's replicas or a node's mode from that event on; undefined where there is none, or one that is being deleted. */
interface Known {
  readonly sequence: number;
  readonly value: number | string | undefined;
}

export class Answers {
  private readonly violate: (message: string) => void;
  /** Operation → sequences of the events that carried it. */
  private readonly operations = new Map<string, number[]>();
  /** Changes that were acknowledged: operation → sequence. */
  private readonly acknowledged = new Map<string, number>();
  /** Workloads and nodes → what they were, in the order of the log: an answer may name an event of minutes ago. */
  private readonly known = new Map<string, Known[]>();

  constructor(violate: (message: string) => void) {
    this.violate = violate;
  }

  get count(): number {
    return this.acknowledged.size;
  }

  /** An event that carries an operation. */
  onOperation(operation: string, sequence: number): void {
    const seen = [...(this.operations.get(operation) ?? []), sequence];
    this.operations.set(operation, seen);
    if (seen.length > 1) this.violate(`operation ${operation} was carried out twice, at ${seen.join(" and ")}`);
  }

  /** An item of an event that was folded. */
  onItem(state: State, item: EventItem, sequence: number): void {
    if (item.kind === "node") this.note(`Node ${item.name}`, state.nodes.get(item.name)?.mode, sequence);
    if (item.kind !== "workload") return;
    const key = keyOf(item.namespace, item.name);
    const workload = state.workloads.get(key);
    this.note(`Workload ${key}`, workload?.deleting === false ? workload.spec.replicas : undefined, sequence);
  }

  /** An operator is told. The log is folded to its end. */
  onAnswer(state: State, { operation, outcome, wish }: Pick<Answer, "operation" | "outcome" | "wish">): void {
    const at = this.operations.get(operation)?.[0];
    if (typeof outcome === "string") {
      if (at !== undefined && !open.has(outcome)) {
        this.violate(`operation ${operation} was refused with ${outcome}, but is in the log at ${at}`);
      }
      return;
    }
    const what = `${wish.resource}.${wish.verb} ${operation}`;
    if (at === undefined) {
      const done = this.undone(outcome, wish) ?? unapplied(state, outcome, wish);
      if (done === undefined) return;
      this.violate(`${what} was acknowledged at ${outcome.sequence}, but is not in the log: ${done}`);
      return;
    }
    if (outcome.results.every(({ action }) => action === "unchanged")) return;
    this.acknowledged.set(operation, outcome.sequence);
    if (at !== outcome.sequence) {
      this.violate(`${what} was acknowledged at ${outcome.sequence}, but is in the log at ${at}`);
    }
  }

  /** What was acknowledged must be in the log for good. */
  finish(): void {
    for (const [operation, sequence] of this.acknowledged) {
      if (this.operations.get(operation)?.includes(sequence) !== true) {
        this.violate(`operation ${operation}, acknowledged at ${sequence}, is not in the log any more`);
      }
    }
  }

  /** The log lost its end: what was seen of it counts no more. */
  forget(): void {
    this.operations.clear();
    this.acknowledged.clear();
    this.known.clear();
  }

  private note(object: string, value: Known["value"], sequence: number): void {
    const known = this.known.get(object);
    if (known === undefined) this.known.set(object, [{ sequence, value }]);
    else if (known.at(-1)?.value !== value) known.push({ sequence, value });
  }

  /** Of a change without an event: what is said to be done that was not so in the log, as it was at the event that the answer names. */
  private undone({ results, sequence }: Accepted, { verb, body }: Answer["wish"]): string | undefined {
    for (const { kind, namespace, name, action } of results) {
      const object = kind === "Node" ? `Node ${name}` : `${kind} ${keyOf(namespace, name)}`;
      const is = this.known.get(object)?.findLast((one) => one.sequence <= sequence)?.value;
      const said = `${object}, ${is ?? "not there"}, is said to be ${action}`;
      // Of all that changes something this alone finds nothing left to do.
      const isGoing = kind === "Workload" && action === "deleted" && is === undefined;
      if (action !== "unchanged" && !isGoing) return said;
      // An earlier template is another, where no generation is asked for.
      const wanted = verb === "scale" ? body["replicas"] : kind === "Node" ? modes[verb] : is;
      if (action === "unchanged" && (is !== wanted || verb === "undo")) return said;
    }
    return undefined;
  }
}

/** What there is to do of manifests without an event; asked where nothing came after the event that the answer names. */
function unapplied(state: State, { sequence }: Accepted, { verb, body }: Answer["wish"]): string | undefined {
  if (verb !== "apply" || sequence !== state.sequence) return undefined;
  const [item] = admitApply(state, structuredClone(body["documents"] as object[])).items;
  return item && `${item.kind} ${item.name} is said to be unchanged`;
}
