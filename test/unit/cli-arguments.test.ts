import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";
import { commands } from "../../cli/commands.ts";
import type { SwainCommand } from "../../cli/command.ts";
import { splitCommand } from "../../cli/dispatch.ts";
import { signalCounter, stillEnding } from "../../cli/impatience.ts";
import { readArguments } from "../../cli/strict.ts";
import { version } from "../../services/kernel/version.ts";
import { runCli } from "../support/cli.ts";

const definitions = {
  file: { type: "string", alias: "f" },
  output: { type: "enum", alias: "o", options: ["json", "yaml"] },
  wait: { type: "boolean", alias: "w" },
  restart: { type: "boolean", default: true },
  nodes: { type: "string", default: "1" },
  target: { type: "positional" },
} as const;
const read = (...args: string[]): ReturnType<typeof readArguments> => readArguments(args, { ...definitions } as never);

test("repeated options are all kept, in order, in every spelling", () => {
  expect(read("-f", "a", "--file", "b", "--file=c", "-fd", "-f", "-").options("file")).toEqual([
    "a",
    "b",
    "c",
    "d",
    "-",
  ]);
  expect(read("--file", "a", "--file", "b").option("file")).toBe("b");
});

test("flags are on, off, off by default and on by default", () => {
  expect([read("-w"), read("--wait"), read("--no-wait"), read()].map((given) => given.flag("wait"))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect([read(), read("--no-restart")].map((given) => given.flag("restart"))).toEqual([true, false]);
  expect(read().option("nodes")).toBe("1");
});

test("what follows -- is never read as an option", () => {
  const given = read("--", "--wait");
  expect([given.positionals, given.flag("wait")]).toEqual([["--wait"], false]);
});

test.each([
  [["--fiel", "a"], "unknown option --fiel; did you mean --file?"],
  [["--zebra"], "unknown option --zebra"],
  [["-x"], "unknown option -x"],
  [["--no-file"], "unknown option --no-file"],
  [["--wait=yes"], '--wait takes no value, but "yes" was given'],
  [["--file"], "--file needs a value"],
  [["--file", "--wait"], "--file needs a value"],
  [["-o", "jsn"], '"jsn" is no value of --output; did you mean json?'],
  [["-o", "html"], '"html" is no value of --output; one of json, yaml'],
  [["pods", "web", "more"], '"web" is one argument too many'],
])("%j is refused", (args, message) => {
  expect(() => read(...args)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT", message }));
});

test("everything that is wrong is told at once", async () => {
  const { code, stderr } = await runCli(["get", "pods", "--wacth", "-o", "jsn", "--server"]);
  expect(code).toBe(2);
  expect(stderr).toBe(
    "unknown option --wacth; did you mean --watch?\n--server needs a value\n" +
      '"jsn" is no value of --output; did you mean json?\n' +
      "error: INVALID_ARGUMENT: 3 mistakes in the command line\n  See --help of this command.\n",
  );
});

test("every command that talks to a cluster has the options that choose it", async () => {
  const local = new Set([
    "up",
    "down",
    "demo",
    "nats-context",
    "server-config",
    "validate",
    "version",
    "completion",
    "complete",
  ]);
  for (const { name, load } of commands.filter((entry) => !local.has(entry.name))) {
    const { args } = (await load()).default as SwainCommand;
    expect(Object.keys(args ?? {}), name).toEqual(expect.arrayContaining(["server", "cluster", "creds", "context"]));
  }
});

test("options that choose the cluster may stand before the command", () => {
  expect(splitCommand(["--data", "/d", "--cluster=c", "get", "pods", "-w"])).toEqual({
    name: "get",
    rest: ["--data", "/d", "--cluster=c", "pods", "-w"],
  });
  expect(splitCommand(["--help"]).name).toBeUndefined();
});

test("an unknown command is refused with the nearest one and exit code 2", async () => {
  const { code, stdout, stderr } = await runCli(["aply", "-f", "x"]);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toBe(
    'error: INVALID_ARGUMENT: unknown command "aply"; did you mean "apply"?\n  See --help of this command.\n',
  );
});

test("an unknown kind is refused with the nearest one before anything is connected", async () => {
  const { code, stderr } = await runCli(["get", "pdos"]);
  expect(code).toBe(2);
  expect(stderr).toContain('unknown kind "pdos"; did you mean "pods"?');
});

test.each([
  [["get"], "say what: pods, workloads, services, autoscalers, nodes, events, or KIND/NAME"],
  [["get", "pod/Web_1"], '"Web_1" is no name of an object'],
  [["get", "pods", "-n", "a.b"], '"a.b" is no namespace'],
  [["scale", "workload/web"], "say how many: --replicas K"],
  [["scale", "workload/web", "--replicas", "-1"], 'not "-1"'],
  [["scale", "workload/web", "--replicas", "10001"], "--replicas is a whole number from 0 to 10000"],
  [["scale", "pod/web-1", "--replicas", "1"], "only workloads are scaled"],
  [["delete", "node/n1"], "workloads, services and autoscalers are deleted, no nodes"],
  [["delete", "workload/a", "-f", "b.yaml"], "give either -f or KIND/NAME, not both"],
  [["apply"], "name the manifests: -f FILE"],
  [["logs", "node/n1"], "only pods have output"],
  [["logs", "pod/web-1", "--tail", "x"], "--tail is a whole number"],
  [["logs", "pod/web-1", "--since", "yesterday"], "--since must be a duration up to a year"],
  [["logs", "pod/web-1", "--since", "2026-13-01T00:00:00Z"], "--since must be a duration up to a year"],
  [["logs", "pod/web-1", "--since", "8784h"], "--since must be a duration up to a year"],
  [["logs", "pod/web-1", "--previous", "-f"], "--previous and -f exclude each other"],
  [["proxy"], "say what to serve: --service NAME, or --all"],
  [["proxy", "--service", "a", "--service", "b", "--listen", "1"], "each --service needs its own --listen"],
  [["agent", "--label", "novalue"], '"novalue" is no label: write KEY=VALUE'],
  [["agent", "--advertise", ""], '"" is no address for --advertise: an IP or a name, without a port'],
  [["agent", "--advertise", "10.0.0.5:80"], '"10.0.0.5:80" is no address for --advertise'],
  [["agent", "--runtime", "podman"], '"podman" is no value of --runtime'],
  [["controller", "--replicas", "2"], "--replicas is 1 or 3"],
  [["state"], "say what: swain state verify"],
  [["rollout", "constructor", "workload/web"], 'there is no "rollout constructor"'],
  [["node", "constructor", "n1"], 'there is no "node constructor"'],
  [["get", "pods", "--cluster", "A.B"], '"A.B" is no name of a cluster'],
])("%j is refused with exit code 2", async (args, message) => {
  const { code, stdout, stderr } = await runCli(args);
  expect(stderr).toContain(message);
  expect([code, stdout]).toEqual([2, ""]);
});

test("bad manifests end apply with exit code 2 before anything is connected", async () => {
  const { code, stderr } = await runCli(["apply", "-f", "-"], { input: "kind: Worklod\n" });
  expect(code).toBe(2);
  expect(stderr).toContain('<stdin>:1:7: unknown kind; did you mean "Workload"? ("Worklod")\n');
  expect(stderr).toContain("error: INVALID_MANIFEST: 4 problems found, nothing was applied\n");
});

test("version is printed in each spelling", async () => {
  for (const args of [["version"], ["--version"], ["-V"]]) {
    expect(await runCli(args)).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  }
});

test("the overview names every command, and every command has help with examples that parse", async () => {
  const { stdout } = await runCli(["--help"]);
  for (const { name, load, hidden } of commands) {
    expect(stdout.includes(`  ${name} `)).toBe(hidden !== true);
    const help = await runCli([name, "--help"]);
    expect(help.code, name).toBe(0);
    expect(help.stdout, name).toMatch(/^USAGE swain /m);
    const { default: definition } = await load();
    const { examples, args } = definition as SwainCommand;
    expect(examples.length, name).toBeGreaterThan(0);
    for (const example of examples) {
      expect(help.stdout).toContain(`  ${example}\n`);
      const call = /swain (.*?)(\)| (?:&&|[|>]).*|$)/.exec(example)?.[1]?.split(" ") ?? [];
      const { name: called, rest } = splitCommand(call);
      expect(called, example).toBe(name);
      expect(() => readArguments(rest, args as never), example).not.toThrow();
    }
  }
  expect((await runCli(["help", "get"])).stdout).toBe((await runCli(["get", "-h"])).stdout);
});

test("no command loads a NATS client or a container engine before it runs", () => {
  const root = join(import.meta.dirname, "../..");
  const seen = new Map<string, string[]>();
  const visit = (file: string, trail: string[]): void => {
    if (seen.has(file)) return;
    seen.set(file, trail);
    const source = readFileSync(file, "utf8");
    // Static imports only, and none of types: they are what loading a command costs.
    for (const [, what] of source.matchAll(/^(?:import|export)(?! type)[^;]*?from "([^"]+)";|^import "[^"]+";/gm)) {
      if (what === undefined) continue;
      expect(/^(nats|@nats-io|dockerode|yaml|ajv)/.test(what), [...trail, what].join(" → ")).toBe(false);
      if (!what.startsWith(".") || what.endsWith(".js")) continue;
      const next = join(dirname(file), what);
      visit(next, [...trail, relative(root, next)]);
    }
  };
  visit(join(root, "cli/main.ts"), ["cli/main.ts"]);
  for (const name of readdirSync(join(root, "cli/commands"))) visit(join(root, "cli/commands", name), [name]);
  expect(seen.size).toBeGreaterThan(30);
});

test("a signal that is doubled within a moment counts once", () => {
  const count = signalCounter();
  expect([count(0), count(1), count(500), count(510), count(900)]).toEqual([1, null, 2, null, 3]);
});

test("only what starts a cluster speaks of what one leaves, when it is told to end twice", () => {
  expect(stillEnding(["scale", "workload/up", "--replicas", "3"])).not.toMatch(/cleaning|swain down/);
  expect(stillEnding(["--data", "x", "up"])).toContain("swain down");
  expect(stillEnding(["demo"])).toContain("swain down");
});
