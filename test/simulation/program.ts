// Which program worlds are made of: hours that were run apart count together when it was the same one.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const shownCharacters = 12;

/** A short hash of the module at `entry` and of all that it imports from files, with their places below `root`. */
export function programOf(root: string, entry: string): string {
  const texts = new Map<string, string>();
  const visit = (path: string): void => {
    if (texts.has(path)) return;
    const text = readFileSync(path, "utf8");
    texts.set(path, text);
    for (const [, name = ""] of text.matchAll(/^(?:import|export) .*"(\.[^"]+)";$/gm)) visit(join(dirname(path), name));
  };
  visit(entry);
  const hash = createHash("sha256");
  for (const path of [...texts.keys()].toSorted()) hash.update(`${relative(root, path)}\0${texts.get(path)}\0`);
  return hash.digest("hex").slice(0, shownCharacters);
}
