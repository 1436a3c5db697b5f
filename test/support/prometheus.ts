// A strict reader of the Prometheus text format (version 0.0.4) and of its naming conventions, so that a scrape that a real
// server would refuse or frown at fails a test.

export interface ReadFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: { readonly name: string; readonly labels: Record<string, string>; readonly value: number }[];
}

const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (NaN|[+-]Inf|[-+0-9.eE]+)$/;
const labelPart = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/;

/** Throws at the first line a strict reader would refuse. */
export function readMetrics(text: string): Map<string, ReadFamily> {
  if (!text.endsWith("\n")) throw new Error("the text does not end with a newline");
  const families = new Map<string, ReadFamily>();
  const seen = new Set<string>();
  let help: { name: string; text: string } | undefined;
  let current: ReadFamily | undefined;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (comment !== null) {
      const [, what, name = "", rest = ""] = comment;
      if (what === "HELP") {
        help = { name, text: rest };
        continue;
      }
      if (families.has(name)) throw new Error(`family ${name} comes twice`);
      if (help?.name !== name) throw new Error(`family ${name} has no help`);
      if (!["counter", "gauge", "histogram", "summary"].includes(rest)) throw new Error(`type ${rest} of ${name}`);
      current = { name, type: rest, help: help.text, samples: [] };
      families.set(name, current);
      continue;
    }
    const sample = sampleLine.exec(line);
    if (sample === null || current === undefined) throw new Error(`not a sample of a family: ${line}`);
    const [, name = "", labelText = "", number = ""] = sample;
    const suffixes =
      current.type === "histogram"
        ? ["_bucket", "_sum", "_count"]
        : current.type === "summary"
          ? ["", "_sum", "_count"]
          : [""];
    if (!suffixes.some((suffix) => name === `${current?.name}${suffix}`)) {
      throw new Error(`${name} is no sample of ${current.name}`);
    }
    const labels = readLabels(labelText, line);
    const identity = `${name} ${identityOf(labels)}`;
    if (seen.has(identity)) throw new Error(`a series comes twice: ${line}`);
    seen.add(identity);
    const value = number === "+Inf" ? Infinity : number === "-Inf" ? -Infinity : Number(number);
    current.samples.push({ name, labels, value });
  }
  for (const family of families.values()) if (family.type === "histogram") checkHistogram(family);
  return families;
}

const identityOf = (labels: Record<string, string>): string =>
  JSON.stringify(
    Object.keys(labels)
      .sort()
      .map((label) => [label, labels[label]]),
  );

function readLabels(text: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (let rest = text; rest !== "";) {
    const match = labelPart.exec(rest);
    if (match === null) throw new Error(`labels cannot be read: ${line}`);
    const [whole, name = "", value = ""] = match;
    if (name in labels) throw new Error(`label ${name} comes twice: ${line}`);
    labels[name] = value;
    rest = rest.slice(whole.length);
  }
  return labels;
}

/** Buckets grow, end with +Inf, and agree with the count, each label set for itself. */
function checkHistogram({ name, samples }: ReadFamily): void {
  const sets = new Map<string, typeof samples>();
  for (const sample of samples) {
    const { le: _, ...rest } = sample.labels;
    const key = identityOf(rest);
    sets.set(key, [...(sets.get(key) ?? []), sample]);
  }
  for (const [labels, set] of sets) {
    const where = `${name} ${labels}`;
    const buckets = set.filter((sample) => sample.name === `${name}_bucket`);
    if (buckets.at(-1)?.labels["le"] !== "+Inf") throw new Error(`${where} has no last bucket`);
    const count = set.find((sample) => sample.name === `${name}_count`)?.value;
    if (buckets.at(-1)?.value !== count) throw new Error(`${where}: count and last bucket differ`);
    if (!set.some((sample) => sample.name === `${name}_sum`)) throw new Error(`${where} has no sum`);
    if (buckets.some(({ value }, at) => value < (buckets[at - 1]?.value ?? 0)))
      throw new Error(`${where}: a bucket shrinks`);
  }
}

/** What `promtool check metrics` frowns at in names; a list of complaints. */
export function nameComplaints(family: Pick<ReadFamily, "name" | "type">): string[] {
  const { name, type } = family;
  const found: string[] = [];
  if (type === "counter" && !name.endsWith("_total")) found.push(`${name}: a counter ends with _total`);
  if (type !== "counter" && /_(total|count|sum|bucket)$/.test(name))
    found.push(`${name}: that ending means another kind`);
  if (/_(milliseconds|ms|minutes|kilobytes|megabytes|percent)(_|$)/.test(name)) found.push(`${name}: no base unit`);
  if (new RegExp(`_${type}(_|$)`).test(name)) found.push(`${name}: names its kind`);
  if (/[A-Z]/.test(name)) found.push(`${name}: camel case`);
  return found;
}
