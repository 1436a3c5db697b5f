// A small HTTP server by which a process can be operated: /health, /ready and /metrics. It only reads, never holds a caller
// long, and is off unless asked for. Called by the CLI for controller, agent and proxy.
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Figure } from "../figures.ts";
import type { Check, Insight } from "../insight.ts";
import type { FigureText } from "./prometheus.ts";
import { listenFailed } from "./sockets-errors.ts";

/** A started server. */
export interface StatusServer {
  /** `host:port` as it listens. */
  readonly address: string;
  close(): Promise<void>;
}

/** Callers at a time: a scraper, a prober, and people looking. */
const connectionsMost = 32;
/** A caller that has not sent its request by then is let go. */
const requestMs = 5000;
const lookMs = 1000;
/** A condition that does not settle by then counts as not met. */
const checkMs = 3000;
/** Figures may be counted over the whole cluster: those of a moment ago serve all who ask at once. */
const figuresKeptMs = 500;

/** Serves what `insight` tells, which is undefined while the part starts. Rejects with PORT_IN_USE or LISTEN_FAILED. */
export async function serveStatus(
  { host, port }: { readonly host: string; readonly port: number },
  insight: () => Insight | undefined,
): Promise<StatusServer> {
  const { figureText } = await import("./prometheus.ts");
  const pages = new Pages(insight, figureText);
  const server = createServer({
    requestTimeout: requestMs,
    headersTimeout: requestMs,
    keepAliveTimeout: requestMs,
    // How often those are looked at; the default is longer than they are.
    connectionsCheckingInterval: lookMs,
  });
  server.maxConnections = connectionsMost;
  server.on("request", (request, response) => void pages.serve(request, response));
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenFailed(host, port, error.code ?? "")));
    server.listen({ host, port }, resolve);
  });
  const { address, port: bound, family } = server.address() as AddressInfo;
  return {
    address: `${family === "IPv6" ? `[${address}]` : address}:${bound}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

class Pages {
  private readonly insight: () => Insight | undefined;
  private readonly figures: FigureText;
  private kept: { readonly text: Promise<string>; readonly at: number } | undefined;

  constructor(insight: () => Insight | undefined, figureText: (figures: () => readonly Figure[]) => FigureText) {
    this.insight = insight;
    this.figures = figureText(() => insight()?.figures() ?? []);
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // What a caller sends beyond the request line means nothing here.
    request.resume();
    try {
      if (request.method !== "GET" && request.method !== "HEAD") {
        response.setHeader("Allow", "GET, HEAD");
        return send(response, 405, "text/plain", "only GET\n");
      }
      switch ((request.url ?? "").split("?", 1)[0]) {
        case "/health":
          return sendChecks(response, this.insight()?.health() ?? []);
        case "/ready":
          return sendChecks(response, await this.ready());
        case "/metrics":
          return send(response, 200, this.figures.contentType, await this.text());
        default:
          return send(response, 404, "text/plain", "there are /health, /ready and /metrics\n");
      }
    } catch (error) {
      send(response, 500, "text/plain", `${error instanceof Error ? error.message : String(error)}\n`);
    }
  }

  private async ready(): Promise<readonly Check[]> {
    const insight = this.insight();
    if (insight === undefined) return [{ name: "started", ok: false, message: "starting" }];
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<readonly Check[]>((resolve) => {
      const message = `not known within ${checkMs / 1000} s`;
      timer = setTimeout(() => resolve([{ name: "answered", ok: false, message }]), checkMs);
    });
    const checks = await Promise.race([insight.ready(), late]);
    clearTimeout(timer);
    return checks;
  }

  private text(): Promise<string> {
    const now = performance.now();
    if (this.kept === undefined || now - this.kept.at > figuresKeptMs)
      this.kept = { text: this.figures.text(), at: now };
    return this.kept.text;
  }
}

function sendChecks(response: ServerResponse, checks: readonly Check[]): void {
  const ok = checks.every((check) => check.ok);
  send(response, ok ? 200 : 503, "application/json", `${JSON.stringify({ ok, checks })}\n`);
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "Content-Type": type, "Cache-Control": "no-store" });
  response.end(response.req.method === "HEAD" ? undefined : body);
}
