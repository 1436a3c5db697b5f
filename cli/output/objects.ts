// Prints objects of the API in the form -o asks for.
import type { ArgsDef } from "citty";
import type { ApiObject } from "../client.ts";
import type { Resource } from "../kinds.ts";
import { escaped, jsonText } from "./json.ts";
import { columnsOf } from "./rows.ts";
import type { Column } from "./rows.ts";
import { table } from "./table.ts";
import type { Cell } from "./table.ts";

const outputFormats = ["table", "wide", "json", "yaml", "name"] as const;
export type OutputFormat = (typeof outputFormats)[number];

export const outputArg: ArgsDef = {
  output: {
    type: "enum",
    alias: "o",
    options: [...outputFormats],
    description: "Form of the output",
  },
};

export interface ObjectView {
  readonly resource: Resource;
  readonly format: OutputFormat;
  /** Show the namespace, because several are shown. */
  readonly namespaced: boolean;
  readonly color: boolean;
  /** Milliseconds since 1970, for ages. */
  readonly now: number;
  /** For services: why clients cannot reach it, empty where nothing is known against it. */
  readonly unreached?: (service: ApiObject) => string;
}

/** Lines of a table without its headings; see `headingsOf`. */
export function rowsOf(objects: readonly ApiObject[], view: ObjectView): Cell[][] {
  const unreached = (object: ApiObject): Cell[] =>
    view.unreached === undefined ? [] : [{ text: view.unreached(object) }];
  return objects.map((object) =>
    columns(view)
      .map(({ cell }) => cell(object as never, view.now))
      .concat(unreached(object)),
  );
}

export function headingsOf(view: ObjectView): string[] {
  return columns(view)
    .map(({ heading }) => heading)
    .concat(view.unreached === undefined ? [] : ["REASON"]);
}

function columns(view: ObjectView): readonly Column<never>[] {
  return columnsOf[view.resource].filter(
    (column) => (column.wide !== true || view.format === "wide") && (column.namespaced !== true || view.namespaced),
  );
}

/** The objects as a text. `one`: a single object was asked for, so JSON and YAML are that object and no list. */
export async function objectsText(objects: readonly ApiObject[], view: ObjectView, one: boolean): Promise<string> {
  const value = one ? objects[0] : { items: objects };
  switch (view.format) {
    case "json":
      return jsonText(value, 2);
    case "yaml": {
      // Loading it takes longer than all the rest of `get`.
      const { stringify } = await import("yaml");
      return escaped(stringify(value, { lineWidth: 0, aliasDuplicateObjects: false }));
    }
    case "name":
      return objects.map((object) => `${nameText(view.resource, object)}\n`).join("");
    case "table":
    case "wide":
      return table(headingsOf(view), rowsOf(objects, view), view.color);
  }
}

/** `pod/web-1`; for an event the object it is about. */
function nameText(resource: Resource, object: ApiObject): string {
  const { metadata, subject } = object as { metadata?: { name?: string }; subject?: string };
  if (resource === "event") return (subject ?? "").split("/").slice(1).join("/");
  return `${resource}/${metadata?.name ?? ""}`;
}
