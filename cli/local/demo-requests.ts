// Requests of the demo to its service, each over a connection of its own, so that the proxy chooses anew every time.
import { request } from "node:http";
import { SwainError } from "../../services/kernel/errors.ts";

export interface Answer {
  readonly pod: string;
  /** Only from replicas that are plain processes. */
  readonly pid: number | undefined;
}

const requestMs = 5000;
/** How long something promised may take to be seen. */
const patienceMs = 30_000;

/** One request; rejects when it fails or the answer is not a replica's. */
export function ask(port: number, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, agent: false, timeout: requestMs, signal }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (body += chunk));
      response.on("error", reject);
      response.on("end", () => {
        const pod = /hello from (\S+)/.exec(body)?.[1];
        const pid = Number(response.headers["x-pid"]);
        if (pod === undefined) reject(new Error(`not a replica's answer: ${body.slice(0, 100)}`));
        else resolve({ pod, pid: Number.isInteger(pid) && pid > 0 ? pid : undefined });
      });
    });
    sent.on("timeout", () => sent.destroy(new Error(`no answer after ${requestMs / 1000} s`)));
    sent.on("error", reject);
    sent.end();
  });
}

/** Who answered how many of these requests, one after the other. */
export async function answersOf(
  port: number,
  count: number,
  signal: AbortSignal,
): Promise<{ counts: Map<string, number>; failed: number }> {
  const counts = new Map<string, number>();
  let failed = 0;
  for (let i = 0; i < count; i++) {
    try {
      const { pod } = await ask(port, signal);
      counts.set(pod, (counts.get(pod) ?? 0) + 1);
    } catch {
      signal.throwIfAborted();
      failed++;
    }
  }
  return { counts, failed };
}

/** Sends requests until an answer fits; how many were answered and how many failed on the way. Rejects when none fits in time. */
export async function untilAnsweredBy(
  port: number,
  fits: (answer: Answer) => boolean,
  signal: AbortSignal,
): Promise<{ answered: number; failed: number }> {
  const deadline = performance.now() + patienceMs;
  let answered = 0;
  let failed = 0;
  while (performance.now() < deadline) {
    try {
      const answer = await ask(port, signal);
      answered++;
      if (fits(answer)) return { answered, failed };
    } catch {
      signal.throwIfAborted();
      failed++;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new SwainError(
    "DEMO_FAILED",
    `not seen after ${patienceMs / 1000} s: ${answered} requests answered, ${failed} failed`,
  );
}
