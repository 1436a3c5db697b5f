// HTTP checks of this machine, for real processes.
import { request } from "node:http";
import type { HttpProbe, HttpProbeAnswer } from "../http-probe.ts";
import { version } from "../version.ts";

/** Longer heads are refused: a status line and ordinary headers take a few hundred bytes. */
const headBytes = 16 * 1024;

export const systemHttpProbe: HttpProbe = {
  get({ host, port, path, hostHeader, timeoutMs }) {
    return new Promise<HttpProbeAnswer>((resolve) => {
      let reached = false;
      const headers = {
        "user-agent": `swain-readiness/${version}`,
        connection: "close",
        ...(hostHeader === null ? {} : { host: hostHeader }),
      };
      const asking = request({ host, port, path, method: "GET", headers, agent: false, maxHeaderSize: headBytes });
      const done = (answer: HttpProbeAnswer): void => {
        clearTimeout(timer);
        // The connection goes with whatever else the program wants to send.
        asking.destroy();
        resolve(answer);
      };
      const timer = setTimeout(() => done({ failed: `no answer within ${timeoutMs} ms`, reached }), timeoutMs);
      asking.on("socket", (socket) => socket.once("connect", () => (reached = true)));
      asking.on("response", ({ statusCode }) => done({ status: statusCode ?? 0 }));
      // Also what comes after the answer is heard here, and means nothing then.
      asking.on("error", (error: NodeJS.ErrnoException) => done({ failed: failureWords(error), reached }));
      asking.end();
    });
  },
};

const failures: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: `the head of the answer is over ${headBytes / 1024} KiB`,
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was reset",
  ETIMEDOUT: "the connection timed out",
  EHOSTUNREACH: "there is no way to the host",
  ENETUNREACH: "there is no way to the network",
  ENOTFOUND: "the host's name is not known",
};

/** The error of a request, for people. */
function failureWords({ code = "", message }: NodeJS.ErrnoException): string {
  // So Node.js calls an end of the connection before any answer, with the code of a reset.
  if (message === "socket hang up") return "the connection was closed without an answer";
  const known = failures[code];
  if (known !== undefined) return known;
  return code.startsWith("HPE_") ? "the answer is no HTTP" : `${message}${code === "" ? "" : ` (${code})`}`;
}
