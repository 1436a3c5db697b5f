// Completion in a real bash with the real program: the script is sourced, and what Tab would offer is read.
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { root, swain } from "../support/cluster.ts";
import { SimCluster } from "../support/sim-cluster.ts";

let cluster: SimCluster;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "swain-completion-"));
  symlinkSync(join(root, "dist/cli/main.js"), join(folder, "swain"));
  cluster = await SimCluster.start();
});
afterAll(async () => {
  await cluster?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** What bash offers for the words typed so far; the last one is being typed. */
function offered(...words: string[]): Promise<string[]> {
  const program = `
    source <(swain completion bash)
    handler=$(complete -p swain | sed -E 's/.*-F ([^ ]+).*/\\1/')
    COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); COMP_LINE="$*"; COMP_POINT=\${#COMP_LINE}
    "$handler" swain "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const env = {
    ...process.env,
    PATH: `${folder}${delimiter}${process.env["PATH"] ?? ""}`,
    SWAIN_SERVER: cluster.server.url,
    SWAIN_CLUSTER: "test",
  };
  return new Promise((resolve, reject) => {
    execFile("bash", ["-c", program, "bash", "swain", ...words], { env }, (error, stdout, stderr) => {
      if (error !== null) return reject(new Error(stderr, { cause: error }));
      resolve(
        stdout
          .split("\n")
          .map((line) => line.trim())
          .filter((line) => line !== ""),
      );
    });
  });
}

test("commands, options, their values and kinds are offered", async () => {
  expect(await offered("des")).toEqual(["describe"]);
  expect(await offered("")).toEqual(expect.arrayContaining(["apply", "get", "doctor", "completion"]));
  expect(await offered("")).not.toContain("complete");
  expect(await offered("get", "--al")).toEqual(["--all-namespaces"]);
  expect(await offered("get", "pods", "-o", "")).toEqual(["table", "wide", "json", "yaml", "name"]);
  expect(await offered("get", "po")).toEqual(["pods"]);
  expect(await offered("describe", "wo")).toEqual(["workload/"]);
  expect(await offered("completion", "")).toEqual(["bash", "zsh", "fish"]);
});

test("names of objects come from the cluster, web-2 before web-10", async () => {
  await cluster.web("web", 11);
  const names = (await cluster.ok(["get", "pods", "-o", "name"])).trim().split("\n");
  expect(names.map((name) => Number(name.split("-")[1]))).toEqual(names.map((_, index) => index + 1));
  expect(await offered("describe", "pod/")).toEqual(names);
  expect(await offered("describe", "workload/w")).toEqual(["workload/web"]);
  expect(await offered("get", "pod", "web-1")).toEqual(["web-1", "web-10", "web-11"]);
  expect(await offered("get", "pod", "-n", "shop", "")).toEqual(expect.not.arrayContaining(["web-1"]));
});

test("what was typed is never run", async () => {
  const trace = join(folder, "ran");
  await offered("get", `$(touch ${trace})`, `\`touch ${trace}\``, `; touch ${trace};`, "");
  expect(existsSync(trace)).toBe(false);
});

test("without a cluster nothing is offered and nothing is said", async () => {
  const { code, stdout, stderr } = await swain(["complete", "--", "describe", "pod/"], {
    env: { SWAIN_SERVER: "nats://127.0.0.1:1" },
  });
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/^:\d+\n$/);
});

/** Runs a suite with a shell. A missing one is a skip with its reason, in CI a failure. */
function describeShell(shell: "zsh" | "fish", suite: (run: (program: string) => Promise<string>) => void): void {
  const env = (): NodeJS.ProcessEnv => ({
    ...process.env,
    HOME: folder,
    PATH: `${folder}${delimiter}${process.env["PATH"] ?? ""}`,
    SWAIN_SERVER: cluster.server.url,
    SWAIN_CLUSTER: "test",
  });
  const there = (process.env["PATH"] ?? "").split(delimiter).some((path) => existsSync(join(path, shell)));
  if (there) {
    const options = shell === "zsh" ? ["-fc"] : ["--no-config", "-c"];
    // Not waited for in place: the controller runs in this very process.
    const run = async (program: string): Promise<string> =>
      (await promisify(execFile)(shell, [...options, program], { env: env() })).stdout;
    describe(shell, () => suite(run));
  } else if (process.env["CI"] === undefined) describe.skip(`${shell} not found`, () => test("is skipped", () => {}));
  else test(shell, () => expect.fail(`${shell} not found`));
}

describeShell("fish", (run) => {
  test("fish offers commands, options and names with their descriptions", async () => {
    const offered = (line: string): Promise<string> =>
      run(`swain completion fish | source; complete -C${JSON.stringify(line)}`);
    expect(await offered("swain des")).toBe("describe\tTell the story of one object\n");
    expect(await offered("swain get --al")).toBe("--all-namespaces\tObjects of every namespace\n");
    expect(await offered("swain describe workload/w")).toBe("workload/web\n");
  });
});

describeShell("zsh", (run) => {
  test("zsh takes the script and offers what it is given", async () => {
    // `_describe` needs the line editor; what it is given is what people are offered.
    const offered = (...words: string[]): Promise<string> =>
      run(`
        autoload -Uz compinit; compinit -u -d "$HOME/zcompdump"
        source <(swain completion zsh)
        [[ $_comps[swain] == _swain ]] || exit 1
        _describe() { print -l -- "\${(P@)2}" }
        words=(swain ${words.map((word) => `'${word}'`).join(" ")}); CURRENT=$#words
        _swain`);
    expect(await offered("des")).toBe("describe:Tell the story of one object\n");
    expect(await offered("describe", "workload/w")).toMatch(/^workload\/web:/);
  });
});

test("each shell has its script, another is refused", async () => {
  for (const shell of ["bash", "zsh", "fish"])
    expect((await swain(["completion", shell])).stdout).toContain("swain complete --");
  expect(await swain(["completion", "tcsh"])).toMatchObject({ code: 2, stdout: "" });
});
