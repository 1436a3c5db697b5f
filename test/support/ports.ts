// Ports for tests.
import { createServer } from "node:net";

/** Below those that the system gives to whoever asks for any, of which one may be gone before it is used. */
const firstPort = 10_500;
/** Test files run beside each other in so many workers at most, each with ports of its own. */
const mostWorkers = 16;
const portsEach = 500;

const worker = Number(process.env["VITEST_POOL_ID"] ?? 0) % mostWorkers;
let next = Math.floor(Math.random() * portsEach);

/** A loopback port that was free a moment ago, and that no other test is given. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < portsEach; tries += 1) {
    next = (next + 1) % portsEach;
    const port = firstPort + worker * portsEach + next;
    if (await isFree(port)) return port;
  }
  throw new Error("no port is free");
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
