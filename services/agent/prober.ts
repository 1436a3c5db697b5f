// The port for readiness checks: real containers are reached over TCP, simulated ones answer for themselves.
import type { HttpProbe } from "../kernel/http-probe.ts";
import type { Sockets } from "../kernel/sockets.ts";
import type { ContainerInfo } from "./runtime/driver.ts";

/** One thing to try of a container. */
export interface ProbeTarget {
  /** For people: "port http", "GET /health on port 8080". */
  readonly what: string;
  /** Null: only a TCP connect. `host`: the Host header, null for the address. */
  readonly http: { readonly path: string; readonly host: string | null } | null;
  readonly host: string;
  readonly port: number;
  readonly timeoutMs: number;
}

export interface Outcome {
  readonly ok: boolean;
  /** False when nothing listens there. */
  readonly reached: boolean;
  /** What went wrong, without a full stop; empty when ok. */
  readonly why: string;
}

export interface Prober {
  /** False when the driver tells of every change by itself, so that a ready container need not be looked at again. */
  readonly rechecks: boolean;
  /** Never rejects. */
  check(container: ContainerInfo, target: ProbeTarget): Promise<Outcome>;
}

const fine: Outcome = { ok: true, reached: true, why: "" };

/** Connects, and asks where the manifest says so: an answer from 200 to 399 is a good one. Redirects are not followed. */
export function networkProber(sockets: Sockets, httpProbe: HttpProbe): Prober {
  return {
    rechecks: true,
    async check(_container, { what, http, host, port, timeoutMs }) {
      if (http === null) {
        if (await sockets.probe(host, port, timeoutMs)) return fine;
        return { ok: false, reached: false, why: `${what} does not accept connections` };
      }
      const answer = await httpProbe.get({ host, port, path: http.path, hostHeader: http.host, timeoutMs });
      if (!("status" in answer)) return { ok: false, reached: answer.reached, why: `${what} failed: ${answer.failed}` };
      const { status } = answer;
      if (status >= 200 && status <= 399) return fine;
      return { ok: false, reached: true, why: `${what} answered ${status}` };
    },
  };
}
