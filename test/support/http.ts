// Small HTTP requests over connections of their own, for tests of what answers behind a proxy.
import { Agent, request } from "node:http";
import type { Socket } from "node:net";

/** The body of a GET, over a new connection. Rejects on any failure. */
export function get(port: number, timeoutMs = 5000): Promise<string> {
  return new Promise((resolve, reject) => {
    const req = request({ host: "127.0.0.1", port, agent: false, timeout: timeoutMs }, (res) => {
      let body = "";
      res.on("data", (chunk: Buffer) => (body += chunk.toString()));
      res.on("end", () =>
        res.statusCode === 200 ? resolve(body.trim()) : reject(new Error(`status ${res.statusCode}`)),
      );
      res.on("error", reject);
    });
    req.on("timeout", () => req.destroy(new Error("timed out")));
    req.on("error", reject);
    req.end();
  });
}

/** One connection that stays, for requests one after the other. */
export class KeptOpen {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 });
  private readonly port: number;
  private readonly sockets = new Set<Socket>();

  constructor(port: number) {
    this.port = port;
  }

  /** The body of a GET. Rejects on any failure, and when it would take another connection. */
  ask(): Promise<string> {
    return new Promise((resolve, reject) => {
      const req = request({ host: "127.0.0.1", port: this.port, agent: this.agent, timeout: 5000 }, (res) => {
        let body = "";
        res.on("data", (chunk: Buffer) => (body += chunk.toString()));
        res.on("end", () => resolve(body.trim()));
        res.on("error", reject);
      });
      req.on("socket", (socket) => {
        this.sockets.add(socket);
        if (this.sockets.size > 1) req.destroy(new Error("the connection was cut"));
      });
      req.on("timeout", () => req.destroy(new Error("timed out")));
      req.on("error", reject);
      req.end();
    });
  }

  close(): void {
    this.agent.destroy();
  }
}

/** How often each answer came in `count` requests, one after the other. */
export async function spread(port: number, count: number): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  for (let index = 0; index < count; index++) {
    const body = await get(port);
    seen.set(body, (seen.get(body) ?? 0) + 1);
  }
  return seen;
}

interface Loaded {
  readonly sent: number;
  readonly failed: string[];
  /** Of the request that took longest. */
  readonly slowestMs: number;
}

/** Requests in a steady stream until stopped, each worker's `pauseMs` apart; tells what failed. */
export function load(port: number, parallel: number, pauseMs = 0): { stop(): Promise<Loaded> } {
  const state = { running: true };
  let sent = 0;
  let slowestMs = 0;
  const failed: string[] = [];
  const worker = async (): Promise<void> => {
    while (state.running) {
      sent += 1;
      const at = performance.now();
      try {
        await get(port);
      } catch (error) {
        failed.push(`${new Date().toISOString()} ${String(error)}`);
      }
      slowestMs = Math.max(slowestMs, performance.now() - at);
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  const workers = Array.from({ length: parallel }, worker);
  return {
    async stop() {
      state.running = false;
      await Promise.all(workers);
      return { sent, failed, slowestMs };
    },
  };
}
