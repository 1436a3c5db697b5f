// Asks the backends of services with a check, as long as this proxy serves them. What the answers mean is decided in
// `health.ts`. Called by `proxy.ts` after every change of a route.
import { same } from "../core/same.ts";
import type { Cancel, Clock } from "../kernel/clock.ts";
import { asSwainError } from "../kernel/errors.ts";
import type { Random } from "../kernel/ids.ts";
import type { Logger } from "../kernel/log.ts";
import type { Sockets } from "../kernel/sockets.ts";
import type { Backend } from "./backend.ts";
import { afterCheck, unchecked } from "./health.ts";
import { proxyLimits } from "./limits.ts";
import { ownHeader } from "./proxy-protocol.ts";
import type { Route } from "./route.ts";
import type { CheckRules } from "./traffic.ts";

interface CheckPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly sockets: Sockets;
  readonly log: Logger;
}

/** The checks of one backend. */
interface Loop {
  readonly rules: CheckRules;
  readonly cancel: Cancel;
}

export class Checks {
  private readonly ports: CheckPorts;
  private readonly onChange: () => void;
  private readonly loops = new Map<Route, Map<Backend, Loop>>();
  /** Checks that wait for others to end. */
  private readonly due = new Set<() => Promise<void>>();
  private running = 0;

  /** `onChange` is called when a check changed the state of a backend. */
  constructor(ports: CheckPorts, onChange: () => void) {
    this.ports = ports;
    this.onChange = onChange;
  }

  /** Brings the checks of a route in step with its backends and its rules. */
  sync(route: Route): void {
    const { check } = route.traffic;
    const loops = this.loops.get(route) ?? new Map<Backend, Loop>();
    for (const [backend, { rules, cancel }] of loops) {
      if (backend.current && same(check, rules)) continue;
      cancel();
      loops.delete(backend);
    }
    if (check !== undefined) {
      for (const backend of route.rotation.all) {
        if (!loops.has(backend)) loops.set(backend, this.start(route, backend, check));
      }
    }
    if (loops.size === 0) this.loops.delete(route);
    else this.loops.set(route, loops);
  }

  stop(): void {
    for (const loops of this.loops.values()) for (const { cancel } of loops.values()) cancel();
    this.loops.clear();
    this.due.clear();
  }

  private start(route: Route, backend: Backend, rules: CheckRules): Loop {
    const { clock, random } = this.ports;
    let over = false;
    let cancelTimer: Cancel = () => {};
    const once = async (): Promise<void> => {
      const failure = await this.ask(route, backend, rules);
      if (over) return;
      this.took(route, backend, rules, failure);
      later(rules.intervalMs * (0.9 + 0.2 * random.next()));
    };
    const later = (ms: number): void => {
      cancelTimer = clock.after(ms, () => this.run(once));
    };
    later(Math.min(rules.intervalMs, proxyLimits.firstCheckMs) * random.next());
    return {
      rules,
      cancel: () => {
        over = true;
        cancelTimer();
        this.due.delete(once);
      },
    };
  }

  private run(once: () => Promise<void>): void {
    if (this.running >= proxyLimits.checks) {
      this.due.add(once);
      return;
    }
    this.running += 1;
    void once().finally(() => {
      this.running -= 1;
      for (const next of this.due) {
        this.due.delete(next);
        this.run(next);
        return;
      }
    });
  }

  /** Why the check failed; empty when it passed. */
  private async ask(route: Route, { host, port, address }: Backend, rules: CheckRules): Promise<string> {
    const { sockets } = this.ports;
    const { path, timeoutMs } = rules;
    try {
      if (path === undefined) {
        (await sockets.connect(host, port, timeoutMs)).destroy();
        return "";
      }
      const line = await sockets.ask(host, port, requestOf(route, address, path), timeoutMs);
      const status = Number(/^HTTP\/1\.[01] ([1-5]\d\d)(?: |$)/.exec(line)?.[1] ?? 0);
      if (status >= 200 && status < 400) return "";
      return status === 0 ? "the answer is no HTTP" : `HTTP ${status}`;
    } catch (error) {
      return asSwainError(error).message;
    }
  }

  private took(route: Route, backend: Backend, rules: CheckRules, failure: string): void {
    const before = backend.health ?? unchecked;
    const health = afterCheck(before, failure === "", rules);
    backend.health = health;
    backend.checkFailure = failure;
    if (health.state === before.state) return;
    const { pod, address } = backend;
    const fields = { service: route.name, pod, address };
    if (health.state === "down") this.ports.log.warn("a backend fails its check", { ...fields, error: failure });
    else this.ports.log.info("a backend passes its check", fields);
    this.onChange();
    // Who waits for room may find it now.
    route.line.retry();
  }
}

const text = new TextEncoder();

function requestOf(route: Route, address: string, path: string): Uint8Array {
  const { proxyProtocol } = route.traffic;
  const request = text.encode(
    `GET ${path} HTTP/1.1\r\nHost: ${address}\r\nUser-Agent: swain-proxy\r\nConnection: close\r\n\r\n`,
  );
  return proxyProtocol === undefined ? request : Uint8Array.from([...ownHeader(proxyProtocol), ...request]);
}
