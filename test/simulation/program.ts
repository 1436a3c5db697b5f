// Which program worlds are made of: hours that were run apart count together when it was the same one.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const shownCharacters = 12;

/**
 * Short hashes of the module at `entry` and of all that it imports from files, with their places below `root`: `program` of all
 * of them, `product` of those that are shipped.
 */
export function programOf(root: string, entry: string): { program: string; product: string } {
  const texts = new Map<string, string>();
  const visit = (path: string): void => {
    if (texts.has(path)) return;
    const text = readFileSync(path, "utf8");
    texts.set(path, text);
    for (const [, name = ""] of text.matchAll(/^(?:import|export) .*"(\.[^"]+)";$/gm)) visit(join(dirname(path), name));
  };
  visit(entry);
  const places = new Map([...texts].map(([path, text]) => [relative(root, path), text]));
  const hashOf = (chosen: readonly string[]): string => {
    const hash = createHash("sha256");
    for (const place of chosen) hash.update(`${place}\0${places.get(place)}\0`);
    return hash.digest("hex").slice(0, shownCharacters);
  };
  const all = [...places.keys()].toSorted();
  return { program: hashOf(all), product: hashOf(all.filter((place) => !place.startsWith("test/"))) };
}
