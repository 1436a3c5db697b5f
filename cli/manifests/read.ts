// Reads the files of `-f` into manifests that can be sent: every problem of every file at once, with its place.
// Called by apply, delete and validate. Knows files and YAML; what a manifest means is in services/core.
import { readdir, readFile, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { checkManifests } from "../../services/core/manifest-set.ts";
import type { Manifest } from "../../services/core/manifest.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { codeFrame } from "./frame.ts";
import { parseText } from "./parse.ts";
import type { ParsedDocument } from "./parse.ts";

/** A manifest and where it came from. */
export interface LoadedManifest {
  readonly manifest: Manifest;
  /** Where the pointer's value stands: `web.yaml:3:5`. `key`: where its key stands. */
  readonly place: (pointer: string, key?: boolean) => string;
}

export interface ManifestSources {
  /** Arguments of -f: a file, a folder, or `-`. */
  readonly sources: readonly string[];
  readonly workingDirectory: string;
  /** All of standard input. */
  readonly input: () => Promise<string>;
}

/** What is wrong in a file; without a line, with the file as a whole. */
export interface Fault {
  /** As it was given, `<stdin>` for standard input. */
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  /** A code of the manifest checks, `BAD_YAML` or `FILE_UNREADABLE`. */
  readonly code: string;
  readonly message: string;
  /** The line and its neighbours with the place marked. */
  readonly frame?: string;
}

/** What reading found: with no fault, all documents are manifests. */
export interface Reading {
  /** In the order in which they were read. */
  readonly files: readonly string[];
  /** In the order in which somebody reads the files. */
  readonly faults: readonly Fault[];
  readonly manifests: readonly LoadedManifest[];
}

interface Loaded {
  readonly file: string;
  readonly folder: string;
  readonly document: ParsedDocument;
}

/** No manifest file is larger; the bound keeps a mistaken `-f disk.img.yaml` from filling the memory. */
const maxFileBytes = 4 * 1024 * 1024;

/** Every manifest of the sources, in order. Throws INVALID_MANIFEST with every problem, or INVALID_ARGUMENT. */
export async function readManifests(from: ManifestSources): Promise<readonly LoadedManifest[]> {
  const { faults, manifests } = await checkSources(from);
  if (faults.length > 0) throw refusal(faults);
  if (manifests.length === 0) throw new SwainError("INVALID_ARGUMENT", `${from.sources.join(", ")}: no manifest in it`);
  return manifests;
}

/** Reads and checks every file of the sources; what is wrong is told and not thrown. */
export async function checkSources(from: ManifestSources): Promise<Reading> {
  const faults: Fault[] = [];
  const loaded: Loaded[] = [];
  const texts = new Map<string, string>();
  const files = await filesOf(from.sources, from.workingDirectory, faults);
  const fault = (file: string, at: { line: number; column: number }, code: string, message: string): void => {
    const frame = codeFrame(texts.get(file) ?? "", at.line, at.column);
    faults.push({ file: shown(file), line: at.line, column: at.column, code, message, frame });
  };
  for (const file of files) {
    const text = await textOf(file, from, faults);
    if (text === undefined) continue;
    texts.set(file, text);
    const folder = file === "-" ? from.workingDirectory : dirname(resolve(from.workingDirectory, file));
    const parsed = parseText(text);
    for (const problem of parsed.problems) fault(file, problem, "BAD_YAML", problem.message);
    loaded.push(...parsed.documents.map((document) => ({ file, folder, document })));
  }
  for (const problem of checkManifests(loaded.map(({ document }) => document.value))) {
    const { file, document } = loaded[problem.document] as Loaded;
    fault(file, document.locate(problem.path, problem.code === "UNKNOWN_FIELD"), problem.code, problemText(problem));
  }
  const names = files.map(shown);
  if (faults.length > 0) return { files: names, faults: inOrder(faults, names), manifests: [] };
  const manifests = loaded.map(({ file, folder, document }) => ({
    manifest: withWorkingDirectories(document.value as Manifest, folder),
    place: (pointer: string, key = false): string => {
      const { line, column } = document.locate(pointer, key);
      return `${shown(file)}:${line}:${column}`;
    },
  }));
  return { files: names, faults, manifests };
}

function inOrder(faults: readonly Fault[], files: readonly string[]): Fault[] {
  const order = (fault: Fault): number[] => [files.indexOf(fault.file), fault.line ?? 0, fault.column ?? 0];
  return faults.toSorted((a, b) => {
    const [left, right] = [order(a), order(b)];
    return left.map((value, index) => value - (right[index] ?? 0)).find((difference) => difference !== 0) ?? 0;
  });
}

/** `web.yaml:3:5`, or the file alone. */
export const placeOf = ({ file, line, column }: Fault): string =>
  line === undefined ? file : `${file}:${line}:${column}`;

/** `1 problem`, `3 problems`. */
export const counted = (count: number, word: string): string => `${count} ${word}${count === 1 ? "" : "s"}`;

function refusal(faults: readonly Fault[]): SwainError {
  const located = faults.map((fault) => ({ place: placeOf(fault), message: fault.message }));
  const message = `${counted(faults.length, "problem")} found, nothing was applied`;
  return new SwainError("INVALID_MANIFEST", message, { details: { located } });
}

const shown = (file: string): string => (file === "-" ? "<stdin>" : file);

const unreadable = "FILE_UNREADABLE";

async function filesOf(sources: readonly string[], cwd: string, faults: Fault[]): Promise<string[]> {
  const files: string[] = [];
  for (const source of sources) {
    const info = source === "-" ? undefined : await stat(resolve(cwd, source)).catch(() => undefined);
    if (info?.isDirectory() !== true) {
      files.push(source);
      continue;
    }
    const names = (await readdir(resolve(cwd, source))).filter((name) => /\.(ya?ml|json)$/i.test(name)).toSorted();
    if (names.length === 0)
      faults.push({ file: source, code: unreadable, message: "no .yaml, .yml or .json file in this folder" });
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
    faults.push({
      file,
      code: unreadable,
      message: `is larger than ${maxFileBytes / 1024 / 1024} MiB, which no manifest is`,
    });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const reasons: Readonly<Record<string, string>> = { ENOENT: "there is no such file", EACCES: "may not be read" };
    faults.push({ file, code: unreadable, message: reasons[code] ?? `cannot be read (${code})` });
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
    const envFiles = container.process.envFiles?.map((file) =>
      file.startsWith("-") ? `-${resolve(folder, file.slice(1))}` : resolve(folder, file),
    );
    const source = { ...container.process, workingDir, ...(envFiles === undefined ? {} : { envFiles }) };
    return Object.assign({}, container, { process: source });
  });
  return { ...manifest, spec: { ...manifest.spec, containers } };
}
