import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { openCgroups } from "../../services/agent/runtime/process/cgroups.ts";
import { createProcessDriver } from "../../services/agent/runtime/process/driver.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemSockets } from "../../services/kernel/node/sockets.ts";
import { driverConformance } from "./driver.ts";
import type { Program } from "./driver-support.ts";
import { programOf } from "../support/processes.ts";

const data = mkdtempSync(join(tmpdir(), "swain-processes-"));
const cgroups = await openCgroups(systemClock);
afterAll(() => rmSync(data, { recursive: true, force: true }));

const shell = (script: string): Program => ({ process: { command: ["/bin/sh", "-c", script] } });
const server = `
  process.on("SIGTERM", () => process.exit(0));
  require("node:http").createServer((_, answer) => answer.end(process.env.SWAIN_POD))
    .listen(Number(process.env.SWAIN_PORT_HTTP), "127.0.0.1");
`;

driverConformance(
  "plain processes",
  (identity) =>
    createProcessDriver({ data, identity, clock: systemClock, sockets: systemSockets, log: silent, cgroups }),
  {
    programs: {
      idle: shell('trap "exit 5" TERM; echo up; sleep 1000 & wait'),
      exits: (code) => shell(`sleep 0.2; exit ${code}`),
      stubborn: shell('trap "" TERM; echo up; while :; do sleep 1000; done'),
      noCommand: { process: { command: ["no-such-command"] } },
      serves: { process: { command: ["node", "-e", server] }, ports: [{ name: "http", containerPort: 80 }] },
      prints: shell("echo line 1; echo line 2; sleep 0.3; echo problem >&2; echo line 3"),
      shells: shell("sleep 1000"),
      counts: shell(
        `printf . >> ${data}/dots.$(basename $SWAIN_POD); cat ${data}/dots.$(basename $SWAIN_POD); echo; echo "run ends"`,
      ),
      burns: shell("while :; do :; done"),
    },
    idleCode: 5,
    readyText: "up",
    async killOutside(_, id) {
      process.kill(await programOf(data, id), "SIGKILL");
    },
    adopts: true,
    realPorts: true,
    ownAddresses: false,
  },
);
