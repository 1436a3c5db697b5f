// One manifest text as documents with a way back from a JSON pointer to line and column.
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments, visit } from "yaml";
import type { Document, Node, Pair } from "yaml";
import { pointerTokens } from "../../services/core/manifest-schema.ts";

/** Line and column, both from 1. */
interface Position {
  readonly line: number;
  readonly column: number;
}

export interface ParsedDocument {
  readonly value: unknown;
  /** Where the pointer's value stands, or its key when `key` is set; the nearest place above it when it is not there. */
  locate(pointer: string, key: boolean): Position;
}

interface ParseProblem extends Position {
  readonly message: string;
}

export interface ParsedText {
  readonly documents: readonly ParsedDocument[];
  readonly problems: readonly ParseProblem[];
}

/** More references than any manifest has, and too few to blow one up into gigabytes. */
const maxAliases = 100;

/** Parses YAML or JSON; documents that hold nothing but comments are left out. */
export function parseText(text: string): ParsedText {
  const lines = new LineCounter();
  const documents: ParsedDocument[] = [];
  const problems: ParseProblem[] = [];
  const position = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  for (const document of parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, stringKeys: true })) {
    const faults = [...document.errors, ...document.warnings];
    for (const fault of faults) {
      problems.push({ ...position(fault.pos[0]), message: yamlMessage(fault.code, fault.message) });
    }
    if (faults.length > 0 || document.contents === null) continue;
    const circles = circularAliases(document);
    for (const { name, offset } of circles) {
      problems.push({
        ...position(offset),
        message: `the alias *${name} stands inside of what it repeats, without end`,
      });
    }
    if (circles.length > 0) continue;
    const start = position(document.contents.range?.[0] ?? 0);
    try {
      const value: unknown = document.toJS({ maxAliasCount: maxAliases });
      if (value === null && isScalar(document.contents) && document.contents.source === "") continue;
      documents.push({
        value,
        locate: (pointer, key) => {
          const offset = offsetOf(document, pointer, key);
          return offset === undefined ? start : position(offset);
        },
      });
    } catch {
      problems.push({
        ...start,
        message: `this document repeats itself through aliases more than ${maxAliases} times`,
      });
    }
  }
  return { documents, problems };
}

/** Aliases below the anchor they point at. An anchor comes before its aliases, so every circle has one of these. */
function circularAliases(document: Document): { name: string; offset: number }[] {
  const found: { name: string; offset: number }[] = [];
  visit(document, {
    Alias: (_key, alias, path) => {
      const whole = alias.resolve(document);
      if (whole !== undefined && path.includes(whole))
        found.push({ name: alias.source, offset: alias.range?.[0] ?? 0 });
    },
  });
  return found;
}

function yamlMessage(code: string, message: string): string {
  if (code === "DUPLICATE_KEY") return "this key is there already in the same mapping";
  return `bad YAML: ${message.replace(/\s+/g, " ")}`;
}

/** Where the place the pointer names begins in the text. */
function offsetOf(document: Document, pointer: string, key: boolean): number | undefined {
  let node: unknown = document.contents;
  let offset = startOf(node);
  for (const token of pointerTokens(pointer)) {
    const whole = isAlias(node) ? node.resolve(document) : node;
    if (isMap(whole)) {
      const pair: Pair | undefined = whole.items.find((item) => keyText(item.key) === token);
      if (pair === undefined) return offset;
      offset = key ? (startOf(pair.key) ?? offset) : (startOf(pair.value) ?? startOf(pair.key) ?? offset);
      node = pair.value;
    } else if (isSeq(whole)) {
      node = whole.items[Number(token)];
      offset = startOf(node) ?? offset;
    } else return offset;
  }
  return offset;
}

const keyText = (key: unknown): string => String(isScalar(key) ? key.value : key);

function startOf(node: unknown): number | undefined {
  const { range, source } = (node ?? {}) as Node & { source?: string };
  // An empty value has no place of its own: its key is the place.
  return source === "" ? undefined : range?.[0];
}
