// The order in which people list names: web-2 before web-10.

const collator = new Intl.Collator("en", { numeric: true });

/** Compares names by their numbers, too. */
export const naturally = (a: string, b: string): number => collator.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);

interface Named {
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** Compares objects by namespace, then by name. */
export const byName = (a: Named, b: Named): number =>
  naturally(a.metadata.namespace ?? "", b.metadata.namespace ?? "") || naturally(a.metadata.name, b.metadata.name);
