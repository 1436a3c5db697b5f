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
      asking.on("error", (error: NodeJS.ErrnoException) => done({ failed: error.code ?? error.message, reached }));
      asking.end();
    });
  },
};
