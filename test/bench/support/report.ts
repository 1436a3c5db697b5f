// Collects what the benches measured, and at the end prints one table and writes it as JSON. A bench records samples; the
// figure is their median, the spread their least and greatest. Ratios compare medians taken in the same run.
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { arch, cpus, release, tmpdir, totalmem, type } from "node:os";
import { join } from "node:path";

interface Row {
  readonly group: string;
  readonly what: string;
  readonly unit: string;
  readonly samples: readonly number[];
}

interface Note {
  readonly group: string;
  readonly note: string;
}

const variable = "SWAIN_BENCH_ROWS";

/** Measured values of one thing; at least one. */
export function record(group: string, what: string, unit: string, samples: readonly number[]): void {
  append({ group, what, unit, samples });
}

/** What was left out or must be known to read the figures. */
export function note(group: string, text: string): void {
  append({ group, note: text });
}

function append(row: Row | Note): void {
  const file = process.env[variable];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(row)}\n`);
}

/** The middle value; of an even number the lower of the two. */
export function median(samples: readonly number[]): number {
  return samples.toSorted((a, b) => a - b)[(samples.length - 1) >> 1] ?? Number.NaN;
}

/** Each round's ours divided by theirs, as a row of its own. */
export function ratio(group: string, what: string, ours: readonly number[], theirs: readonly number[]): void {
  record(group, what, "×", [median(ours) / median(theirs)]);
}

const shown = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString("en") : value >= 100 ? value.toFixed(0) : value.toPrecision(3);

/** The table as text. */
function tableOf(rows: readonly Row[], notes: readonly Note[]): string {
  const lines: string[] = [];
  for (const group of new Set([...rows, ...notes].map((row) => row.group))) {
    lines.push("", group);
    for (const { what, unit, samples } of rows.filter((row) => row.group === group)) {
      const spread = samples.length < 2 ? "" : `${shown(Math.min(...samples))} – ${shown(Math.max(...samples))}`;
      const rounds = samples.length < 2 ? "" : `n=${samples.length}`;
      lines.push(
        `  ${what.padEnd(58)} ${shown(median(samples)).padStart(9)} ${unit.padEnd(10)} ${spread.padEnd(19)} ${rounds}`.trimEnd(),
      );
    }
    for (const one of notes.filter((row) => row.group === group)) lines.push(`  (${one.note})`);
  }
  return lines.join("\n");
}

/** Vitest's global set-up: the benches of this run write into one file, read here when all are done. */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "swain-bench-"));
  const file = join(folder, "rows");
  writeFileSync(file, "");
  process.env[variable] = file;
  return () => {
    const all = readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Row | Note);
    rmSync(folder, { recursive: true });
    const rows = all.filter((row) => "samples" in row);
    const notes = all.filter((row) => "note" in row);
    const machine = {
      cpus: cpus().length,
      cpu: cpus()[0]?.model ?? "",
      memoryMiB: Math.round(totalmem() / 1024 / 1024),
      os: `${type()} ${release()} ${arch()}`,
      node: process.version,
    };
    const result = process.env["SWAIN_BENCH_JSON"] ?? "bench.json";
    const figures = rows.map((row) => ({
      ...row,
      median: median(row.samples),
      min: Math.min(...row.samples),
      max: Math.max(...row.samples),
    }));
    writeFileSync(result, `${JSON.stringify({ machine, figures, notes }, null, 2)}\n`);
    console.log(
      `${tableOf(rows, notes)}\n\n${machine.cpus} × ${machine.cpu}, Node ${machine.node}; as JSON in ${result}`,
    );
  };
}
