import fc from "fast-check";
import { expect, test } from "vitest";
import { parseText } from "../../cli/manifests/parse.ts";
import { withDefaults } from "../../services/core/defaults.ts";
import { checkManifest } from "../../services/core/manifest.ts";
import type { Manifest } from "../../services/core/manifest.ts";
import { parseCpuMillis, parseDurationMs, parseMemoryBytes } from "../../services/core/quantity.ts";
import { stringify } from "yaml";

/** Words of these signs that begin and end with the first two of them. */
const word = (signs: string, maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...signs.split("")), maxLength }).map((inner) => `${signs[0]}${inner}${signs[1]}`);
const name = word("a0z-9", 8);
const duration = fc
  .tuple(fc.nat(400), fc.constantFrom("ms", "s", "m", "h"))
  .map(([amount, unit]) => `${amount}${unit}`);
const optional = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined });
/** A record whose undefined fields are left out, as a manifest would. */
const fields = (of: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(of).map((record) => Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)));

const text = fc.oneof(
  fc.string({ maxLength: 20, unit: "grapheme" }),
  fc.constantFrom("yes", "0x1", "1e3", "null", "~", " x", "#", "- a", "a: b"),
);
const container = (index: number): fc.Arbitrary<Record<string, unknown>> =>
  fields({
    name: fc.constant(`c${index}`),
    image: fc.tuple(word("ab9", 6), word("ab_.-", 6)).map(([path, tag]) => `${path}/${path}:${tag}`),
    command: optional(fc.array(text, { maxLength: 2 }).map((words) => ["program", ...words])),
    env: optional(
      fc
        .uniqueArray(word("A_Z9", 6), { maxLength: 3 })
        .chain((names) => fc.tuple(...names.map((variable) => text.map((value) => ({ name: variable, value }))))),
    ),
    ports: optional(
      fc
        .uniqueArray(fc.integer({ min: 1, max: 9999 }), { maxLength: 3 })
        .map((ports) => ports.map((port) => ({ name: `p${index}-${port}`, containerPort: port + index * 10_000 }))),
    ),
    resources: optional(
      fields({
        requests: optional(
          fields({ cpu: optional(fc.constantFrom("1m", 0.001)), memory: optional(fc.constant("1Ki")) }),
        ),
        limits: optional(
          fields({
            cpu: optional(fc.constantFrom("100m", 2)),
            memory: optional(fc.constantFrom("1Gi", "1.5Gi", 4096)),
          }),
        ),
      }),
    ),
  });

const labels = fc.dictionary(name, fc.oneof(fc.constant(""), word("Aa0-_.", 6)), {
  maxKeys: 3,
});
const metadata = fields({ name, namespace: optional(name), labels: optional(labels) });

const workload = fields({
  apiVersion: fc.constant("swain/v1"),
  kind: fc.constant("Workload"),
  metadata,
  spec: fields({
    replicas: optional(fc.nat(10_000)),
    placement: optional(fc.constantFrom("spread", "binpack")),
    nodeSelector: optional(labels),
    restartPolicy: optional(fc.constantFrom("Always", "OnFailure", "Never")),
    lostAfter: optional(fc.integer({ min: 1, max: 400 }).map((seconds) => `${seconds}s`)),
    drainTimeout: optional(duration),
    containers: fc
      .integer({ min: 1, max: 3 })
      .chain((count) => fc.tuple(...Array.from({ length: count }, (_, at) => container(at)))),
  }),
}) as unknown as fc.Arbitrary<Manifest>;

const service = fields({
  apiVersion: fc.constant("swain/v1"),
  kind: fc.constant("Service"),
  metadata,
  spec: fields({
    selector: name.map((selected) => ({ workload: selected })),
    ports: fc
      .uniqueArray(fc.integer({ min: 1, max: 65_535 }), { minLength: 1, maxLength: 3 })
      .map((ports) => ports.map((port) => ({ port, targetPort: port }))),
  }),
}) as unknown as fc.Arbitrary<Manifest>;

const manifest = fc.oneof(workload, service);

test("P1: printing a manifest as YAML or JSON and reading it gives the same manifest, without a problem", () => {
  fc.assert(
    fc.property(manifest, fc.boolean(), (value, json) => {
      const parsed = parseText(json ? JSON.stringify(value) : stringify(value));
      expect(parsed.problems).toEqual([]);
      expect(parsed.documents.map((document) => document.value)).toEqual([value]);
      expect(checkManifest(value)).toEqual([]);
    }),
  );
});

/** Every place of the value, as a pointer with a way to replace what is there. */
function places(value: unknown, path: string[] = []): string[][] {
  if (typeof value !== "object" || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => places(inner, [...path, key]))];
}

function replaced(value: unknown, [key, ...rest]: readonly string[], by: unknown): unknown {
  if (key === undefined) return by;
  if (Array.isArray(value))
    return value.map((item: unknown, at) => (String(at) === key ? replaced(item, rest, by) : item));
  const record = value as Record<string, unknown>;
  return { ...record, [key]: replaced(record[key], rest, by) };
}

test("P2: a value that fits nowhere is refused at its path, or above it, wherever it is put", () => {
  fc.assert(
    fc.property(
      manifest,
      fc.nat(),
      fc.constantFrom(null, 1.5e300, ["\u0000"], { "no such field": 1 }),
      (value, at, bad) => {
        const all = places(value);
        const place = all[at % all.length] ?? [];
        const pointer = place.map((token) => `/${token.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
        const problems = checkManifest(replaced(value, place, bad));
        expect(problems.length).toBeGreaterThan(0);
        const near = problems.some(({ path }) => path.startsWith(pointer) || pointer.startsWith(path));
        expect(near, `${pointer} among ${problems.map(({ path }) => path).join(" ")}`).toBe(true);
      },
    ),
  );
});

test("P2: an unknown field is refused at its own path, in every mapping that has fixed fields", () => {
  fc.assert(
    fc.property(manifest, fc.nat(), (value, at) => {
      const mappings = places(value).filter((place) => {
        const here = place.reduce<unknown>((inner, key) => (inner as Record<string, unknown>)[key], value);
        return (
          typeof here === "object" &&
          here !== null &&
          !Array.isArray(here) &&
          !["labels", "nodeSelector"].includes(place.at(-1) ?? "")
        );
      });
      const place = mappings[at % mappings.length] ?? [];
      const problems = checkManifest(replaced(value, [...place, "zzz"], 1));
      expect(problems).toEqual([
        expect.objectContaining({
          code: "UNKNOWN_FIELD",
          path: `${place.map((token) => `/${token}`).join("")}/zzz`,
          value: 1,
        }),
      ]);
    }),
  );
});

test("P3: filling in defaults twice changes nothing more, keeps what was written, and stays valid", () => {
  fc.assert(
    fc.property(manifest, (value) => {
      const once = withDefaults(value);
      expect(withDefaults(once)).toEqual(once);
      expect(checkManifest(once)).toEqual([]);
      expect(once).toMatchObject(value);
      if (once.kind === "Workload")
        expect("replicas" in once.spec).toBe(value.kind === "Workload" && "replicas" in value.spec);
    }),
  );
});

test("a manifest check never throws and never changes what it checks, whatever it is given", () => {
  fc.assert(
    fc.property(fc.oneof(fc.anything(), manifest), fc.anything(), (value, spec) => {
      checkManifest(value);
      const document = { apiVersion: "swain/v1", kind: "Workload", metadata: { name: "a" }, spec };
      expect(checkManifest(document).length).toBeGreaterThan(0);
    }),
  );
});

test("reading text never throws, whatever it is", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string({ unit: fc.constantFrom("a", ":", " ", "\n", "-", "&", "*", "[", "{", "#", "|", "?", "!", '"') }),
      ),
      (value) => {
        const { documents } = parseText(value);
        for (const document of documents) expect(document.locate("/a/0/b", true).line).toBeGreaterThan(0);
      },
    ),
  );
});

test("amounts grow with what is written, and units agree with each other", () => {
  fc.assert(
    fc.property(fc.nat(99_999), fc.nat(999), (whole, thousandths) => {
      const decimal = `${whole}.${String(thousandths).padStart(3, "0")}`;
      expect(parseCpuMillis(decimal)).toBe(whole * 1000 + thousandths);
      expect(parseCpuMillis(Number(decimal))).toBe(whole * 1000 + thousandths);
      expect(parseCpuMillis(`${whole}m`)).toBe(whole);
      expect(parseMemoryBytes(`${whole}Ki`)).toBe(whole * 1024);
      expect(parseMemoryBytes(`${decimal}k`)).toBe(whole * 1000 + thousandths);
      expect(parseMemoryBytes(`${decimal}Mi`)).toBe(Math.ceil(((whole * 1000 + thousandths) * 1_048_576) / 1000));
      expect(parseDurationMs(`${whole}s`)).toBe(parseDurationMs(`${whole}000ms`));
      expect(parseDurationMs(`${whole}h`)).toBe(60 * parseDurationMs(`${whole}m`));
    }),
  );
});
