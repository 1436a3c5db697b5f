// Recomputes every figure of REPORT.md from the recordings of the runs, and nothing else: it shares no code with Swain or
// with the tests that made them. `node test/faults/checker.mjs` prints the report; with a recording's path, its figures.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

/** A recording: one JSON object a line, each with `at`, milliseconds since the run began. */
export function read(file) {
  const content = readFileSync(file);
  const text = (file.endsWith(".gz") ? gunzipSync(content) : content).toString("utf8");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

const of = (lines, kind) => lines.filter((line) => line.kind === kind);

/** Lives of programs as the witness saw them in the machine's own list of processes. */
function livesOf(lines) {
  const lives = new Map();
  for (const line of lines) {
    if (line.kind === "started") lives.set(line.pid, { ...line, from: line.at, to: Infinity });
    if (line.kind === "ended") lives.get(line.pid).to = line.at;
  }
  return [...lives.values()];
}

/** Pairs of lives of one group that overlap. */
function overlaps(lives, groupOf) {
  let count = 0;
  for (const group of groupBy(lives, groupOf).values()) {
    const sorted = group.toSorted((a, b) => a.from - b.from);
    for (const [index, life] of sorted.entries()) {
      count += sorted.slice(index + 1).filter((other) => other.from < life.to).length;
    }
  }
  return count;
}

function groupBy(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}

/** What one run came to. */
export function figures(lines) {
  const run = of(lines, "run")[0];
  // What somebody else put into the log is no record of Swain's.
  const records = of(lines, "record").flatMap(({ seq, event }) => (event?.items ? [{ seq, ...event }] : []));
  const items = records.flatMap((record) => record.items.map((item) => ({ ...item, record })));
  const acknowledged = of(lines, "acknowledged");
  const asked = new Map(of(lines, "asked").map((line) => [line.operation, line]));

  // Lost: a change whose asker was told that it is done, which no record of the log holds; or the last one, when the log's
  // last word on the workload is another and nobody was left in doubt about a later one.
  const held = new Set(records.map(({ operation }) => operation));
  let lost = acknowledged.filter(({ operation }) => !held.has(operation)).length;
  const last = acknowledged.at(-1);
  const wanted = last === undefined ? run.replicas : asked.get(last.operation).replicas;
  const said = items.findLast(
    (item) => item.kind === "workload" && item.name === run.workload && replicasOf(item) !== undefined,
  );
  const isCertain = asked.size === acknowledged.length;
  if (said !== undefined && isCertain && replicasOf(said) !== wanted) lost += 1;
  // The same of templates: what the log last applied is the release that was acknowledged last.
  const deploys = acknowledged.map(({ operation }) => asked.get(operation)).filter(({ release }) => release);
  const { release } = deploys.at(-1) ?? {};
  const applied = items.findLast((item) => item.kind === "workload" && item.name === run.workload && item.spec);
  if (release !== undefined && isCertain && (applied === undefined || releaseOf(applied) !== release)) lost += 1;

  const lives = livesOf(lines);
  const doubled =
    overlaps(lives, ({ pod }) => pod) +
    overlaps(
      lives.filter(({ workload }) => workload === run.fenced),
      () => "fenced",
    );

  const faultAt = of(lines, "fault")[0]?.at ?? 0;

  // A program that ended though the fault did not hit it and nothing in the log had its pod stopped before.
  const hit = new Set(of(lines, "hit").map(({ pid }) => pid));
  const stopping = items.filter(({ kind, verb }) => kind === "pod" && ["stopping", "removed", "lost"].includes(verb));
  const wasAsked = ({ to, pod }) =>
    stopping.some(({ name, record }) => name === pod && record.time - run.startedAt - (run.skewMs ?? 0) <= to);
  const unasked = lives.filter((life) => life.to !== Infinity && !hit.has(life.pid) && !wasAsked(life));
  // A fenced pod's agent stops it without being asked when no leader answers: that is what a fence is.
  const byFence = unasked.filter(({ workload }) => workload === run.fenced);
  // From the fault until the first of them had ended, and from then until the next pod of the workload began, wherever.
  const fencedAt = byFence.toSorted((a, b) => a.to - b.to)[0]?.to ?? null;
  const again = lives.filter((life) => life.workload === run.fenced && fencedAt !== null && life.from >= fencedAt);
  const fencedMs = fencedAt === null ? null : fencedAt - faultAt;
  const fenceGapMs = again.length === 0 ? null : Math.min(...again.map(({ from }) => from)) - fencedAt;

  // Programs that a deploy had yet to replace when the fault began.
  const before = acknowledged.filter(({ at }) => at <= faultAt).map(({ operation }) => asked.get(operation).release);
  const newest = before.findLast(Boolean);
  const rolling = livesAt(lives, run.workload, faultAt).filter((life) => newest && life.release !== newest).length;

  // From the fault until a pod was first given up, by the leader's clock.
  const given = items.find(({ kind, verb }) => kind === "pod" && verb === "lost");
  const givenUpMs = given === undefined ? null : given.record.time - run.startedAt - faultAt;

  // From the fault until a node was first called unknown, by the leader's clock.
  const unheard = items.find(({ kind, verb }) => kind === "node" && verb === "unknown");
  const unknownMs = unheard === undefined ? null : unheard.record.time - run.startedAt - faultAt;

  // From when it was over until the last program of a pod that had been given up has ended.
  const mended = of(lines, "mended").at(-1)?.at ?? of(lines, "fault").at(-1)?.at ?? 0;
  const lostPods = new Set(items.filter(({ kind, verb }) => kind === "pod" && verb === "lost").map(({ name }) => name));
  const copies = lives.filter(({ pod }) => lostPods.has(pod));
  const oldMs = copies.length === 0 ? null : Math.max(...copies.map(({ to }) => to)) - mended;

  const stale = staleOf(records);
  const answers = of(lines, "answers");
  const failed = answers.reduce((sum, line) => sum + line.failed, 0);
  let silence = 0;
  let heard = answers[0]?.at ?? 0;
  for (const { at, ok } of answers) {
    if (ok === 0) continue;
    silence = Math.max(silence, at - heard);
    heard = at;
  }

  // From when it was over, or the last change since, until as many programs run as are wanted, of the last release, for good.
  const from = Math.max(mended, last?.at ?? 0);
  const end = lines.at(-1).at;
  const isRight = (at) => {
    const alive = livesAt(lives, run.workload, at);
    return alive.length === wanted && (release === undefined || alive.every((life) => life.release === release));
  };
  const moments = [from, ...lives.flatMap((life) => [life.from, life.to])].filter((at) => at >= from && at <= end);
  const wrong = moments.filter((at) => !isRight(at));
  const next = wrong.length === 0 ? from : Math.min(Infinity, ...moments.filter((at) => at > Math.max(...wrong)));

  return {
    acknowledged: acknowledged.length,
    deploys: deploys.length,
    rolling,
    lost,
    doubled,
    unasked: unasked.length - byFence.length,
    byFence: byFence.length,
    fencedMs,
    fenceGapMs,
    unknownMs,
    replaced: lostPods.size,
    givenUpMs,
    oldMs,
    stale,
    requests: answers.reduce((sum, line) => sum + line.ok + line.failed, 0),
    failed,
    silenceMs: silence,
    convergedMs: next - from,
  };
}

const isElection = ({ items }) => items.some(({ kind, verb }) => kind === "leader" && verb === "elected");

/** Writes of a leader that was followed by another. */
function staleOf(records) {
  let epoch = 0;
  let stale = 0;
  for (const record of records) {
    if (isElection(record)) epoch = record.seq;
    else if (epoch > 0 && record.epoch < epoch) stale += 1;
  }
  return stale;
}

/** What a run came to in which leaders or servers were ended one after the other. Times are of one clock. */
export function endings(lines) {
  const records = of(lines, "record").map(({ seq, time, event }) => ({ seq, at: time, ...event }));
  const acknowledged = of(lines, "acknowledged");
  const sequenceOf = new Map(records.map(({ operation, seq }) => [operation, seq]));
  const operations = records.flatMap(({ operation }) => operation ?? []);
  const [before, ...after] = of(lines, "programs").map(({ running }) => JSON.stringify(running));
  const ends = of(lines, "ended").map(({ at, signal, what }) => {
    const elected = records.find((record) => record.at >= at && isElection(record));
    // With leaders the next one must have said it.
    const least = signal === undefined ? 0 : (elected?.seq ?? Infinity);
    const changed = acknowledged.find((line) => line.at >= at && line.sequence > least);
    return {
      what: what ?? signal,
      electedMs: (elected?.at ?? Infinity) - at,
      changedMs: (changed?.at ?? Infinity) - at,
    };
  });
  return {
    ends,
    acknowledged: acknowledged.length,
    lost: acknowledged.filter(({ operation, sequence }) => sequenceOf.get(operation) !== sequence).length,
    twice: operations.length - new Set(operations).size,
    stale: staleOf(records),
    touched: after.filter((running) => running !== before).length,
    doubled: of(lines, "doubled").reduce((sum, { pods }) => sum + pods.length, 0),
    requests: of(lines, "answers").reduce((sum, { sent }) => sum + sent, 0),
    failed: of(lines, "answers").reduce((sum, { failed }) => sum + failed, 0),
  };
}

const quantile = (samples, share) =>
  samples.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(share * samples.length) - 1)];

/** A table of the runs in which leaders or servers were ended; empty without recordings of them. */
function endingsTable(folder) {
  const runs = ["leaders", "servers"].flatMap((name) => {
    const file = join(folder, `${name}.jsonl.gz`);
    return existsSync(file) ? [{ name, lines: read(file) }] : [];
  });
  const rows = runs.flatMap(({ name, lines }) => {
    const is = endings(lines);
    const whole = [
      is.acknowledged,
      is.lost,
      is.twice,
      is.stale,
      is.touched,
      is.doubled,
      `${is.failed} of ${is.requests}`,
    ];
    return [...groupBy(is.ends, ({ what }) => what)].map(([what, ends]) => {
      const said = (key) => {
        const samples = ends.map((end) => end[key]);
        return `${seconds(quantile(samples, 0.5))}, at most ${seconds(Math.max(...samples))}`;
      };
      const elected = name === "leaders" ? said("electedMs") : "";
      const ended = name === "leaders" ? `leader: ${what}` : `of three servers: ${what}`;
      const { server } = lines[0];
      return [ended, server, ends.length, elected, said("changedMs"), ...whole, `[log](runs/${name}.jsonl.gz)`].join(
        " | ",
      );
    });
  });
  if (rows.length === 0) return "";
  return `
## Leaders and servers that end

From \`takeover.test.ts\` (one server) and \`three-servers.test.ts\` (three copies), while changes are asked for all the time. From the end
until the next leader is in the log, and until a change was acknowledged: the median and the most. The rest is of the whole recording:
**twice** are operations that are in the log twice, **touched** are looks at the programs that showed others than before.

| ended | on | times | elected | changed | changes | lost | twice | stale | touched | doubled | failed | recording |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
${rows.map((row) => `| ${row} |`).join("\n")}
`;
}

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

const replicasOf = (item) => item.replicas ?? item.spec?.replicas;

const releaseOf = ({ spec }) => spec.containers[0]?.env?.find(({ name }) => name === "FAULT_RELEASE")?.value;

const livesAt = (lives, workload, at) =>
  lives.filter((life) => life.workload === workload && life.from <= at && at < life.to);

/** The report on all recordings of a folder. */
export function report(folder) {
  const rows = readdirSync(folder)
    .filter((name) => name.endsWith(".jsonl.gz"))
    .toSorted()
    .flatMap((name) => {
      const lines = read(join(folder, name));
      const run = of(lines, "run")[0];
      return run === undefined ? [] : [{ name, run, is: figures(lines) }];
    });
  const sum = (key) => rows.reduce((total, { is }) => total + is[key], 0);
  const table = rows.map(({ name, run, is }) =>
    [
      run.fault,
      `${run.runtime}, ${run.server}`,
      run.promise,
      run.seed,
      `${is.acknowledged}, ${is.deploys} deploys`,
      `${is.rolling}`,
      `${is.lost}`,
      `${is.doubled}`,
      `${is.unasked}`,
      is.fencedMs === null
        ? "0"
        : `${is.byFence}, after ${seconds(is.fencedMs)}, ${is.fenceGapMs === null ? "never" : `${seconds(is.fenceGapMs)} later`} again`,
      is.unknownMs === null ? "no" : seconds(is.unknownMs),
      is.givenUpMs === null ? "none" : `${is.replaced}, after ${seconds(is.givenUpMs)}`,
      is.oldMs === null ? "" : seconds(is.oldMs),
      `${is.failed} of ${is.requests}`,
      seconds(is.silenceMs),
      Number.isFinite(is.convergedMs) ? seconds(is.convergedMs) : "never",
      `[log](runs/${name})`,
    ].join(" | "),
  );
  return `# Faults on real parts

${rows.length} runs: real nats-servers, controllers, agents, proxies and programs, while a client changes the number of replicas and
the template, and another asks the service through its proxy. **${sum("lost")} changes lost of ${sum("acknowledged")} acknowledged, ${sum("doubled")} pods doubled, ${sum("stale")} writes by a
leader that was followed by another.** \`npm run faults\` makes the runs anew; \`node test/faults/checker.mjs\` recomputes this page from
the recordings beside it, with no code of Swain's.

* **seed**: of which the run's chance was drawn: the changes and the pauses between them and between requests, when the fault begins,
  whom it hits. \`SWAIN_TEST_SEED\` makes the same choices again.
* **in rollout**: programs that a deploy had yet to replace when the fault began.
* **lost**: changes that were acknowledged and are not in the log, or are not its last word.
* **doubled**: pods of which two programs ran at once; for the workload with \`fence: true\`, any two of its pods.
* **ended unasked**: programs that ended though neither the fault hit them nor the log had them stopped.
* **by fence**: pods with \`fence: true\` that their agent stopped because no leader answered for \`lostAfter\`, as it must; how
  long after the fault began the first was over, and how much later one ran again, there or elsewhere.
* **unknown**: how long after the fault began a node was first called unknown.
* **replaced**: pods given up as lost, and how long after the fault began; **old gone**: how long after its end the last of their programs had
  ended, which may be before it.
* **failed**: requests through the proxy that got no answer; **silence** is the longest time without any answer.
* **converged**: from the end of the fault, or of the last change after it, until as many programs run as are wanted, of the last release,
  for good.

| fault | on | promised | seed | changes | in rollout | lost | doubled | ended unasked | by fence | unknown | replaced | old gone | failed | silence | converged | recording |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
${table.map((row) => `| ${row} |`).join("\n")}
${endingsTable(folder)}`;
}

if (process.argv[1] === import.meta.filename) {
  const [file] = process.argv.slice(2);
  const runs = join(import.meta.dirname, "runs");
  process.stdout.write(file === undefined ? report(runs) : `${JSON.stringify(figures(read(file)), null, 2)}\n`);
}
