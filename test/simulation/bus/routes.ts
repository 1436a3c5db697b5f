// Who listens on a subject. A tree by tokens finds it, and the answer is kept until somebody subscribes or leaves.

/** A listener: subscriptions with a lower id hear a message earlier. */
export interface Listener {
  readonly id: number;
  readonly subject: string;
}

interface Branch<L> {
  readonly next: Map<string, Branch<L>>;
  /** Behind `*`. */
  any: Branch<L> | undefined;
  /** Whose subject ends here. */
  readonly here: L[];
  /** Whose subject ends here with `>`. */
  readonly rest: L[];
}

/** A fleet of 5,000 nodes has some 30,000 subjects. */
const mostKept = 100_000;

function branch<L>(): Branch<L> {
  return { next: new Map(), any: undefined, here: [], rest: [] };
}

export class Routes<L extends Listener> {
  private readonly root: Branch<L> = branch();
  private readonly kept = new Map<string, readonly L[]>();
  /** The same of subjects that are used once, by all but their last token: keeping each would only fill the memory. */
  private readonly keptBelow = new Map<string, readonly L[]>();
  /** The token before that one. */
  private readonly once = new Set<string>();

  /** Subjects `<…>.<token>.<number>` are answers to one request each. */
  usedOnce(token: string): void {
    this.once.add(token);
  }

  notUsed(token: string): void {
    this.once.delete(token);
  }

  add(listener: L): void {
    this.place(listener).push(listener);
    this.forget();
  }

  remove(listener: L): void {
    const place = this.place(listener);
    const at = place.indexOf(listener);
    if (at >= 0) place.splice(at, 1);
    this.prune(this.root, listener.subject.split("."), 0);
    this.forget();
  }

  find(subject: string): readonly L[] {
    const above = endsInDigit(subject) ? subject.slice(0, subject.lastIndexOf(".")) : undefined;
    const known = (above === undefined ? undefined : this.keptBelow.get(above)) ?? this.kept.get(subject);
    if (known !== undefined) return known;
    const found: L[] = [];
    const isOfAll = collect(this.root, subject, 0, found);
    if (found.length > 1) found.sort((left, right) => left.id - right.id);
    if (above === undefined || !this.once.has(above.slice(above.lastIndexOf(".") + 1))) keep(this.kept, subject, found);
    else if (isOfAll) keep(this.keptBelow, above, found);
    return found;
  }

  private forget(): void {
    this.kept.clear();
    this.keptBelow.clear();
  }

  private place(listener: L): L[] {
    const tokens = listener.subject.split(".");
    let at = this.root;
    for (const [index, token] of tokens.entries()) {
      if (token === ">" && index === tokens.length - 1) return at.rest;
      if (token === "*") {
        at = at.any ??= branch();
        continue;
      }
      let next = at.next.get(token);
      if (next === undefined) at.next.set(token, (next = branch()));
      at = next;
    }
    return at.here;
  }

  /** Takes away branches nobody is on, or each inbox ever used would stay. Returns whether this one is empty. */
  private prune(at: Branch<L>, tokens: readonly string[], index: number): boolean {
    const token = tokens[index];
    if (token === "*") {
      if (at.any !== undefined && this.prune(at.any, tokens, index + 1)) at.any = undefined;
    } else if (token !== undefined && token !== ">") {
      const next = at.next.get(token);
      if (next !== undefined && this.prune(next, tokens, index + 1)) at.next.delete(token);
    }
    return at.next.size === 0 && at.any === undefined && at.here.length === 0 && at.rest.length === 0;
  }
}

function endsInDigit(subject: string): boolean {
  const last = subject.charCodeAt(subject.length - 1);
  return last >= 48 && last <= 57;
}

function keep<T>(kept: Map<string, T>, key: string, value: T): void {
  if (kept.size >= mostKept) kept.clear();
  kept.set(key, value);
}

/** Returns whether all subjects that differ in the last token alone have the same listeners. */
function collect<L>(at: Branch<L>, subject: string, from: number, found: L[]): boolean {
  for (const listener of at.rest) found.push(listener);
  const end = subject.indexOf(".", from);
  const next = at.next.get(end < 0 ? subject.slice(from) : subject.slice(from, end));
  if (end < 0) {
    if (next !== undefined) for (const listener of next.here) found.push(listener);
    if (at.any !== undefined) for (const listener of at.any.here) found.push(listener);
    return at.next.size === 0;
  }
  const isOfAll = next === undefined || collect(next, subject, end + 1, found);
  return (at.any === undefined || collect(at.any, subject, end + 1, found)) && isOfAll;
}

/** Tells whether a subject matches a filter with `*` and `>`. */
export function matcher(filter: string): (subject: string) => boolean {
  const wanted = filter.split(".");
  const isOpen = wanted.at(-1) === ">";
  if (!wanted.includes("*")) {
    if (!isOpen) return (subject) => subject === filter;
    const prefix = filter.slice(0, -1);
    return (subject) => subject.length > prefix.length && subject.startsWith(prefix);
  }
  const tokens = isOpen ? wanted.slice(0, -1) : wanted;
  return (subject) => {
    let from = 0;
    for (const token of tokens) {
      // The token before was the last one.
      if (from > subject.length) return false;
      const dot = subject.indexOf(".", from);
      const end = dot < 0 ? subject.length : dot;
      if (token !== "*" && (end - from !== token.length || !subject.startsWith(token, from))) return false;
      from = end + 1;
    }
    return isOpen ? from <= subject.length : from > subject.length;
  };
}
