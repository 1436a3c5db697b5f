// `get -w`: the objects as they are, then a line for each that changed. The feed says when to look; what is shown is read
// from the leader, so a lost message delays a line and never falsifies one.
import { asSwainError } from "../services/kernel/errors.ts";
import type { ApiObject, Client } from "./client.ts";
import type { Terminal } from "./command.ts";
import { fetchObjects, unreachedBy } from "./fetch.ts";
import { Hints } from "./hints.ts";
import { jsonText } from "./output/json.ts";
import { headingsOf, objectsText, rowsOf } from "./output/objects.ts";
import type { ObjectView } from "./output/objects.ts";
import { columnWidths, tableLines } from "./output/table.ts";

export interface Watched {
  readonly scope: string;
  readonly name: string | undefined;
  readonly view: ObjectView;
}

/** Runs until the client's signal aborts. Throws what the first look throws. */
export async function watchObjects(terminal: Terminal, client: Client, watched: Watched): Promise<void> {
  const { signal } = client;
  const printer = new Printer(terminal, watched.view);
  const hints = new Hints(client, watched.scope);
  try {
    let first = true;
    while (!signal.aborted) {
      try {
        const minSeq = hints.take();
        const objects = await fetchObjects(
          client,
          watched.view.resource,
          watched.scope,
          first ? watched.name : undefined,
          minSeq,
        );
        if (watched.view.resource === "service") printer.unreached = await unreachedBy(client);
        await printer.show(objects.filter((object) => watched.name === undefined || nameOf(object) === watched.name));
      } catch (error) {
        if (first || signal.aborted || !asSwainError(error).retryable) throw error;
        terminal.err(`${asSwainError(error).code}: ${asSwainError(error).message}; still watching\n`);
      }
      first = false;
      await hints.wait();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    hints.stop();
  }
}

const nameOf = (object: ApiObject): string => (object.metadata as { name?: string } | undefined)?.name ?? "";

/** Prints all objects once, then those that changed or went. */
class Printer {
  private readonly terminal: Terminal;
  private readonly view: ObjectView;
  private shown: Map<string, { text: string; object: ApiObject }> | null = null;
  private widths: number[] = [];
  /** For services. */
  unreached: ObjectView["unreached"];

  constructor(terminal: Terminal, view: ObjectView) {
    this.terminal = terminal;
    this.view = view;
  }

  async show(objects: readonly ApiObject[]): Promise<void> {
    const before = this.shown;
    const now = new Map(
      objects.map((object) => [
        keyOf(object),
        { text: JSON.stringify(object) + (this.unreached?.(object) ?? ""), object },
      ]),
    );
    this.shown = now;
    const changed = objects.filter((object) => before?.get(keyOf(object))?.text !== now.get(keyOf(object))?.text);
    const gone = before === null ? [] : [...before].filter(([key]) => !now.has(key)).map(([, { object }]) => object);
    const view = {
      ...this.view,
      now: Date.now(),
      ...(this.unreached === undefined ? {} : { unreached: this.unreached }),
    };
    if (view.format === "table" || view.format === "wide") this.showRows(changed, gone, before === null, view);
    else await this.showValues(changed, gone, view);
  }

  private showRows(changed: readonly ApiObject[], gone: readonly ApiObject[], first: boolean, view: ObjectView): void {
    const headings = headingsOf(view);
    const state = headings.findIndex((heading) => heading === "STATE" || heading === "PHASE");
    const marked = state < 0 ? headings.length - 1 : state;
    const ended = rowsOf(gone, view).map((row) => row.with(marked, { text: "gone" }));
    const rows = [...rowsOf(changed, view), ...ended];
    const widths = columnWidths(headings, rows);
    this.widths = widths.map((width, column) => Math.max(width, this.widths[column] ?? 0));
    const heads = first ? [headings.map((text) => ({ text }))] : [];
    this.terminal.out(tableLines([...heads, ...rows], this.widths, view.color));
  }

  private async showValues(changed: readonly ApiObject[], gone: readonly ApiObject[], view: ObjectView): Promise<void> {
    const ended = gone.map(({ apiVersion, kind, metadata }) => ({ apiVersion, kind, metadata, gone: true }));
    for (const object of [...changed, ...ended]) {
      // One object per line or document, so that a program can read the endless output piece by piece.
      if (view.format === "json") this.terminal.out(jsonText(object));
      else this.terminal.out(`${view.format === "yaml" ? "---\n" : ""}${await objectsText([object], view, true)}`);
    }
  }
}

const keyOf = (object: ApiObject): string => {
  const { namespace, name } = (object.metadata ?? {}) as { namespace?: string; name?: string };
  return `${namespace ?? ""}/${name ?? ""}`;
};
