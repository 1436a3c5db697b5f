// Ctrl-C during `swain demo`, at moments that meet the start, the first requests and an impatient user: whatever the demo
// had begun must end with it.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readRecord } from "../../cli/local/layout.ts";
import type { ChildMark } from "../../cli/local/layout.ts";
import { isAlive, processStart } from "../../cli/local/processes.ts";
import { root } from "../support/cluster.ts";

interface Interrupted {
  readonly code: number | null;
  readonly output: string;
  /** Every part the demo had on record at any time. */
  readonly parts: readonly ChildMark[];
}

interface Moment {
  /** Sends SIGINT when the demo has said this … */
  readonly after: RegExp;
  /** … and again so many milliseconds later. */
  readonly again?: number;
}

/** Runs the demo with that folder for temporary files, and interrupts it at that moment. */
async function interrupt(temp: string, { after, again }: Moment): Promise<Interrupted> {
  const demo = spawn(process.execPath, [join(root, "dist/cli/main.js"), "demo", "--runtime", "process"], {
    env: { ...process.env, TMPDIR: temp },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  let timer: NodeJS.Timeout | undefined;
  let interrupted = false;
  for (const stream of [demo.stdout, demo.stderr]) {
    stream.on("data", (text) => {
      output += String(text);
      if (interrupted || !after.test(output)) return;
      interrupted = true;
      demo.kill("SIGINT");
      if (again !== undefined) timer = setTimeout(() => demo.kill("SIGINT"), again);
    });
  }
  const parts = new Map<number, ChildMark>();
  const look = setInterval(() => {
    for (const name of readdirSync(temp)) {
      for (const part of readRecord(join(temp, name))?.children ?? []) parts.set(part.pid, part);
    }
  }, 20);
  try {
    const code = await new Promise<number | null>((resolve) => demo.once("close", resolve));
    return { code, output, parts: [...parts.values()] };
  } finally {
    clearInterval(look);
    clearTimeout(timer);
  }
}

/** Processes that inherited that folder for temporary files, replicas included; only Linux tells. */
function inheritors(temp: string): number[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return processStart(pid) !== null && readFileSync(`/proc/${pid}/environ`, "utf8").includes(`TMPDIR=${temp}\0`);
      } catch {
        // It ended in this moment, or it belongs to somebody else.
        return false;
      }
    });
}

const moments: readonly (Moment & { readonly when: string })[] = [
  { when: "before anything is started", after: /runtime process/ },
  { when: "while parts start", after: /nats-server .* at / },
  { when: "when all parts run", after: /started nats-server/ },
  { when: "after the apply, by somebody impatient", after: /applied /, again: 50 },
  { when: "after the kill, by somebody impatient", after: /killed /, again: 150 },
];

for (const moment of moments) {
  it(`swain demo interrupted ${moment.when} leaves no process and no file`, async () => {
    const temp = mkdtempSync(join(tmpdir(), "swain-interrupted-"));
    try {
      const { code, output, parts } = await interrupt(temp, moment);
      expect(code, output).toBe(130);
      expect(parts.filter(isAlive)).toEqual([]);
      expect(inheritors(temp)).toEqual([]);
      expect(readdirSync(temp, { recursive: true })).toEqual([]);
    } finally {
      for (const pid of inheritors(temp)) process.kill(pid, "SIGKILL");
      rmSync(temp, { recursive: true, force: true, maxRetries: 5 });
    }
  });
}
