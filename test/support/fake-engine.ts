// A container engine that only says what a Docker would, over a real socket: containers of it can be made to hang.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface FakeContainer {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  status: "created" | "running" | "exited";
  exitCode: number;
  finishedAt: string;
  starts: number;
}

export class FakeEngine {
  private readonly folder = mkdtempSync(join(tmpdir(), "swain-fake-engine-"));
  readonly socket = join(this.folder, "engine.sock");
  readonly containers = new Map<string, FakeContainer>();
  /** Pods whose containers hang from their start on: it is not answered, and neither is anything else about them. */
  readonly stuck = new Set<string>();
  /** Nothing at all is answered. */
  frozen = false;
  /** Whether its containers are said to run on when it ends. */
  liveRestore = false;
  private readonly events = new Set<ServerResponse>();
  private readonly server = createServer((request, response) => void this.answer(request, response));

  async open(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.server.listen(this.socket, resolve);
    });
  }

  /** It ends, or is killed; what it knows it still knows when it is opened again. */
  async leave(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async close(): Promise<void> {
    await this.leave();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The container of that pod. */
  of(pod: string): FakeContainer | undefined {
    return [...this.containers.values()].find(({ labels }) => labels["swain.pod"] === pod);
  }

  /** It ends by itself. */
  end(pod: string, exitCode: number): void {
    const container = this.of(pod);
    if (container === undefined) throw new Error(`no container of ${pod}`);
    Object.assign(container, { status: "exited", exitCode, finishedAt: new Date().toISOString() });
    this.tell("die", container);
  }

  private tell(action: string, { id, labels }: FakeContainer): void {
    const event = { Type: "container", Action: action, Actor: { ID: id, Attributes: labels } };
    for (const stream of this.events) stream.write(`${JSON.stringify(event)}\n`);
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", "http://engine");
    let text = "";
    for await (const chunk of request) text += String(chunk);
    if (this.frozen) return;
    const say = (body: object, status = 200): void => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    };
    if (pathname === "/events") {
      this.events.add(response);
      response.on("close", () => this.events.delete(response));
      response.writeHead(200).flushHeaders();
      return;
    }
    if (pathname === "/version") say({ Version: "20.10.24", Components: [{ Name: "Engine" }] });
    else if (pathname === "/info") say({ NCPU: 2, LiveRestoreEnabled: this.liveRestore });
    else if (pathname === "/containers/json") say([...this.containers.values()].map(listed));
    else if (pathname === "/containers/create") {
      const id = `c${this.containers.size + 1}`;
      const { Labels: labels } = JSON.parse(text) as { Labels: Record<string, string> };
      this.containers.set(id, { id, labels, status: "created", exitCode: 0, finishedAt: "", starts: 0 });
      say({ Id: id }, 201);
    } else {
      const [, kind, id = "", verb] = pathname.split("/");
      const container = this.containers.get(id);
      if (kind !== "containers") say({});
      else if (container === undefined) say({ message: "no such container" }, 404);
      else this.about(container, verb ?? "", say);
    }
  }

  private about(container: FakeContainer, verb: string, say: (body: object, status?: number) => void): void {
    const hangs = this.stuck.has(container.labels["swain.pod"] ?? "");
    if (verb === "start") {
      container.starts += 1;
      if (hangs) return;
      container.status = "running";
      this.tell("start", container);
      say({});
    } else if (!hangs || (container.starts === 0 && verb === "json")) {
      say(verb === "stats" ? stats : inspected(container));
    }
  }
}

const stats = { cpu_stats: { cpu_usage: { total_usage: 1e9 } }, memory_stats: { usage: 1e6 } };

const listed = ({ id, labels, status }: FakeContainer): object => ({ Id: id, Labels: labels, State: status });

const inspected = ({ id, labels, status, exitCode, finishedAt }: FakeContainer): object => ({
  Id: id,
  State: { Status: status, ExitCode: exitCode, OOMKilled: false, StartedAt: "", FinishedAt: finishedAt, Pid: 0 },
  Config: { Labels: labels },
  HostConfig: { NetworkMode: "default" },
  NetworkSettings: { Networks: { bridge: { IPAddress: "" } }, Ports: {} },
  Mounts: [],
});
