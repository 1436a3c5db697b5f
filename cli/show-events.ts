// Prints events, for `get events` and `events`.
import type { Feed } from "../schemas/generated/types.ts";
import type { ApiObject, Client } from "./client.ts";
import type { Terminal } from "./command.ts";
import { followEvents } from "./events.ts";
import type { EventFilter } from "./events.ts";
import { jsonText } from "./output/json.ts";
import { headingsOf, objectsText, rowsOf } from "./output/objects.ts";
import type { ObjectView } from "./output/objects.ts";
import { eventDetail, eventParts } from "./output/rows.ts";
import { columnWidths, harmless, tableLines } from "./output/table.ts";

export interface ShownEvents {
  readonly filter: EventFilter;
  readonly follow: boolean;
  readonly view: ObjectView;
}

/** Shows past events and, with `follow`, those to come until the client's signal aborts. */
export async function showEvents(terminal: Terminal, client: Client, shown: ShownEvents): Promise<void> {
  const { filter, follow, view } = shown;
  const onCut = (sequence: number): void =>
    terminal.err(`LOG_CUT: events up to sequence ${sequence} are not in the log any more.\n`);
  if (!follow) {
    const events = await client.events(filter.scope, filter.last, filter.name, onCut);
    terminal.out(await objectsText(events, view, false));
    return;
  }
  let printed = Promise.resolve();
  let widths: number[] = [];
  const print = async (events: readonly Feed[]): Promise<void> => {
    const objects = events as unknown as readonly ApiObject[];
    const now = { ...view, now: Date.now() };
    if (view.format === "table" || view.format === "wide") {
      const headings = headingsOf(now);
      const rows = rowsOf(objects, now);
      const heads = widths.length === 0 ? [headings.map((text) => ({ text }))] : [];
      widths = columnWidths(headings, rows).map((width, column) => Math.max(width, widths[column] ?? 0));
      terminal.out(tableLines([...heads, ...rows], widths, view.color));
    } else if (view.format === "json") {
      terminal.out(events.map((event) => jsonText(event)).join(""));
    } else {
      for (const object of objects) {
        terminal.out(
          `${view.format === "yaml" ? "---\n" : ""}${await objectsText([object], now, view.format === "yaml")}`,
        );
      }
    }
  };
  await followEvents(client, filter, {
    onEvents: (events) => {
      printed = printed.then(() => print(events));
    },
    onCut,
    onGap: () => terminal.err("Disconnected for a while: events may be missing here.\n"),
  });
  await printed;
}

/** One event in one line, for stories and progress: `pod/web-1 ready on n1`. */
export function eventLine(event: Feed): string {
  const { kind, name, verb } = eventParts(event);
  return harmless([`${kind}/${name}`, verb, eventDetail(event)].filter((part) => part !== "").join(" "));
}
