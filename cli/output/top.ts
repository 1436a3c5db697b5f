// The tables of `top`: use, and its share of what a pod requested or a node has.
import type { TopItem } from "../../schemas/generated/types.ts";
import { table } from "./table.ts";
import type { Cell } from "./table.ts";
import { memoryText } from "./units.ts";

export interface TopView {
  readonly namespaced: boolean;
  readonly color: boolean;
}

/** A pod above its requests, a node nearly full. */
const high = { pod: 100, node: 90 } as const;

export function topTable(kind: "pod" | "node", items: readonly TopItem[], view: TopView): string {
  const namespace = view.namespaced && kind === "pod" ? ["NAMESPACE"] : [];
  const place = kind === "pod" ? ["NODE"] : [];
  const headings = [...namespace, "NAME", ...place, "CPU", "CPU%", "MEMORY", "MEMORY%"];
  const rows = items.map((item) => [
    ...namespace.map(() => ({ text: item.namespace ?? "" })),
    { text: item.name },
    ...place.map(() => ({ text: item.node ?? "-" })),
    { text: item.use === undefined ? "-" : `${item.use.cpuMillis}m` },
    share(item.use?.cpuMillis, item.reserve.cpuMillis, high[kind]),
    { text: item.use === undefined ? "-" : memoryText(item.use.memoryBytes) },
    share(item.use?.memoryBytes, item.reserve.memoryBytes, high[kind]),
  ]);
  return table(headings, rows, view.color);
}

/** `-` where there is no figure, or nothing to compare it with. */
function share(use: number | undefined, reserve: number, bound: number): Cell {
  if (use === undefined || reserve === 0) return { text: "-" };
  const percent = Math.round((use * 100) / reserve);
  return percent > bound ? { text: `${percent}%`, style: "warn" } : { text: `${percent}%` };
}
