// Plain columns without borders, as kubectl prints them.

/** A cell; with `style` it is coloured on terminals that can. */
export interface Cell {
  readonly text: string;
  readonly style?: "good" | "warn" | "bad";
}

const wide =
  /[\u1100-\u115F\u2E80-\u303E\u3041-\u33FF\u3400-\u4DBF\u4E00-\u9FFF\uA000-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{1F300}-\u{1F64F}\u{1F900}-\u{1F9FF}\u{20000}-\u{3FFFD}]/u;
const invisible = /[\p{Mn}\p{Me}\p{Cf}\p{Cc}]/u;

/** Columns the text takes on a terminal: two for wide characters, none for combining ones. */
export function textWidth(text: string): number {
  let width = 0;
  for (const character of text) width += invisible.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return width;
}

const colors = { good: 32, warn: 33, bad: 31 } as const;

/** The text without what could move the cursor or change colours: values come from manifests and programs. */
export const harmless = (text: string): string => text.replace(/[\p{Cc}\u2028\u2029]+/gu, " ");

type Rows = readonly (readonly Cell[])[];

/** What each column takes at least. */
export function columnWidths(headings: readonly string[], rows: Rows): number[] {
  return headings.map((heading, column) =>
    rows.reduce((most, row) => Math.max(most, textWidth(harmless(row[column]?.text ?? ""))), textWidth(heading)),
  );
}

/** Lines up rows; the last column is not padded. Each line ends with a line end. */
export function tableLines(rows: Rows, widths: readonly number[], color: boolean): string {
  const shown = (cell: Cell, column: number): string => {
    const text = harmless(cell.text);
    const padding = " ".repeat(Math.max(0, (widths[column] ?? 0) - textWidth(text)));
    const colored = color && cell.style !== undefined ? `\u001B[${colors[cell.style]}m${text}\u001B[39m` : text;
    return column === widths.length - 1 ? colored : `${colored}${padding}`;
  };
  return rows.map((row) => `${row.map(shown).join("   ").trimEnd()}\n`).join("");
}

/** Rows under their headings. */
export function table(headings: readonly string[], rows: Rows, color: boolean): string {
  const all = [headings.map((text) => ({ text })), ...rows];
  return tableLines(all, columnWidths(headings, rows), color);
}
