// The lines around a place of a text, with the place marked: what people look at before they read the message.

/** Lines before the marked one: enough to see in which list or mapping it stands. */
const before = 2;
const after = 1;
/** A line is cut where a terminal would wrap it into confusion. */
const mostColumns = 160;

/** A frame of a few lines without colours, `line` and `column` from 1; ends with a line end. */
export function codeFrame(text: string, line: number, column: number): string {
  const lines = text.split(/\r?\n/);
  const first = Math.max(1, line - before);
  const last = Math.min(lines.length, line + after);
  const width = String(last).length;
  const framed: string[] = [];
  for (let number = first; number <= last; number++) {
    // Tabs and other control characters take one column each, so that the mark stands where it should.
    const shown = (lines[number - 1] ?? "").replace(/\p{Cc}/gu, " ");
    if (number > line && shown.trim() === "") continue;
    const cut = shown.length > mostColumns ? `${shown.slice(0, mostColumns)}…` : shown;
    framed.push(`${number === line ? ">" : " "} ${String(number).padStart(width)} | ${cut}`.trimEnd());
    if (number !== line || column > mostColumns) continue;
    const word = /^(?:"[^"]*"|'[^']*'|[^\s,:\]}]+)/.exec(shown.slice(column - 1))?.[0].length ?? 1;
    framed.push(`  ${" ".repeat(width)} | ${" ".repeat(column - 1)}${"^".repeat(Math.min(word, mostColumns))}`);
  }
  return `${framed.join("\n")}\n`;
}
