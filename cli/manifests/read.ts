// Reads the files of `-f` into manifests that can be sent: every problem of every file at once, with its place.
// Called by apply and delete. Knows files and YAML; what a manifest means is in services/core.
import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { checkManifests } from "../../services/core/manifest-set.ts";
import type { Manifest } from "../../services/core/manifest.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { parseText } from "./parse.ts";
import type { ParsedDocument } from "./parse.ts";

/** A manifest and where it came from. */
export interface LoadedManifest {
  readonly manifest: Manifest;
  /** Where the pointer's value stands: `web.yaml:3:5`. `key`: where its key stands. */
  place(pointer: string, key?: boolean): string;
}

export interface ManifestSources {
  /** Arguments of -f: a file, a folder, or `-`. */
  readonly sources: readonly string[];
  readonly workingDirectory: string;
  /** All of standard input. */
  readonly input: () => Promise<string>;
}

/** What is wrong in a file; without a line, with the file as a whole. */
interface Fault {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  readonly message: string;
}

interface Loaded {
  readonly file: string;
  readonly folder: string;
  readonly document: ParsedDocument;
}

/** No manifest file is larger; the bound keeps a mistaken `-f disk.img.yaml` from filling the memory. */
const maxFileBytes = 4 * 1024 * 1024;

/** Every manifest of the sources, in order. Throws INVALID_MANIFEST with every problem, or INVALID_ARGUMENT. */
export async function readManifests(from: ManifestSources): Promise<LoadedManifest[]> {
  const faults: Fault[] = [];
  const loaded: Loaded[] = [];
  const files = await filesOf(from.sources, from.workingDirectory, faults);
  for (const file of files) {
    const text = await textOf(file, from, faults);
    if (text === undefined) continue;
    const folder = file === "-" ? from.workingDirectory : dirname(resolve(from.workingDirectory, file));
    const parsed = parseText(text);
    for (const { line, column, message } of parsed.problems) {
      faults.push({ file, line, column, message });
    }
    loaded.push(...parsed.documents.map((document) => ({ file, folder, document })));
  }
  for (const problem of checkManifests(loaded.map(({ document }) => document.value))) {
    const { file, document } = loaded[problem.document] as Loaded;
    const { line, column } = document.locate(problem.path, problem.code === "UNKNOWN_FIELD");
    faults.push({ file, line, column, message: problemText(problem) });
  }
  if (faults.length > 0) throw refusal(faults, files);
  if (loaded.length === 0) throw new SwainError("INVALID_ARGUMENT", `${from.sources.join(", ")}: no manifest in it`);
  return loaded.map(({ file, folder, document }) => ({
    manifest: withWorkingDirectories(document.value as Manifest, folder),
    place: (pointer, key = false) => {
      const { line, column } = document.locate(pointer, key);
      return `${shown(file)}:${line}:${column}`;
    },
  }));
}

/** All faults in the order in which somebody reads the files. */
function refusal(faults: readonly Fault[], files: readonly string[]): SwainError {
  const order = (fault: Fault): number[] => [files.indexOf(fault.file), fault.line ?? 0, fault.column ?? 0];
  const sorted = faults.toSorted((a, b) => {
    const [left, right] = [order(a), order(b)];
    return left.map((value, index) => value - (right[index] ?? 0)).find((difference) => difference !== 0) ?? 0;
  });
  const located = sorted.map(({ file, line, column, message }) => ({
    place: line === undefined ? shown(file) : `${shown(file)}:${line}:${column}`,
    message,
  }));
  const count = located.length === 1 ? "1 problem" : `${located.length} problems`;
  return new SwainError("INVALID_MANIFEST", `${count} found, nothing was applied`, { details: { located } });
}

const shown = (file: string): string => (file === "-" ? "<stdin>" : file);

async function filesOf(sources: readonly string[], cwd: string, faults: Fault[]): Promise<string[]> {
  const files: string[] = [];
  for (const source of sources) {
    const info = source === "-" ? undefined : await stat(resolve(cwd, source)).catch(() => undefined);
    if (info?.isDirectory() !== true) {
      files.push(source);
      continue;
    }
    const names = (await readdir(resolve(cwd, source))).filter((name) => /\.(ya?ml|json)$/i.test(name)).toSorted();
    if (names.length === 0) faults.push({ file: source, message: "no .yaml, .yml or .json file in this folder" });
    files.push(...names.map((name) => join(source, name)));
  }
  return [...new Set(files)];
}

async function textOf(file: string, from: ManifestSources, faults: Fault[]): Promise<string | undefined> {
  if (file === "-") return from.input();
  const path = resolve(from.workingDirectory, file);
  try {
    const { size } = await stat(path);
    if (size <= maxFileBytes) return await readFile(path, "utf8");
    faults.push({ file, message: `is larger than ${maxFileBytes / 1024 / 1024} MiB, which no manifest is` });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const reasons: Readonly<Record<string, string>> = { ENOENT: "there is no such file", EACCES: "may not be read" };
    faults.push({ file, message: reasons[code] ?? `cannot be read (${code})` });
  }
  return undefined;
}

/** The message, with the offending value where there is one. */
export function problemText({ message, value }: { readonly message: string; readonly value?: unknown }): string {
  return value === undefined ? message : `${message} (${shortValue(value)})`;
}

/** The value as JSON, cut to what fits into a line. */
function shortValue(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}

/** Processes run in the manifest's folder unless they say otherwise; agents know no manifest files, so it is made absolute here. */
function withWorkingDirectories(manifest: Manifest, folder: string): Manifest {
  if (manifest.kind !== "Workload") return manifest;
  const containers = manifest.spec.containers.map((container) => {
    if (container.process === undefined) return container;
    const workingDir = resolve(folder, container.process.workingDir ?? ".");
    return Object.assign({}, container, { process: { ...container.process, workingDir } });
  });
  return { ...manifest, spec: { ...manifest.spec, containers } };
}
