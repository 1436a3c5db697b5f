// `swain up` in the foreground: starts the cluster, says what it started, and stops it when told to.
import { SwainError } from "../../services/kernel/errors.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import type { Call } from "../command.ts";
import { tellStarter } from "../notify.ts";
import { isHost, outerHosts } from "./addresses.ts";
import { localCluster } from "./layout.ts";
import { chooseRuntime } from "./runtime.ts";
import type { RuntimeChoice } from "./runtime.ts";
import type { Outside } from "./server.ts";
import type { LocalUp, UpOptions } from "./supervisor.ts";
import { startLocal } from "./supervisor.ts";

export type UpWishes = Omit<UpOptions, "chosen" | "env" | "say" | "signal" | "outside"> & {
  readonly runtime: string;
  /** The address other machines reach; undefined to stay on loopback. */
  readonly listen: string | undefined;
  /** What others call it, when that is not `listen`. */
  readonly advertise: readonly string[];
  /** No TLS towards other machines. */
  readonly insecure: boolean;
};

/** Runs until the call's signal aborts; returns the exit code. `began` is when the command was called. */
export async function runUp(wishes: UpWishes, call: Call, began: number): Promise<number> {
  call.terminal.dropUnwritable();
  checkWishes(wishes);
  const say = speaker(call);
  const chosen = await chooseRuntime(wishes.runtime as RuntimeChoice, wishes.engine);
  say(`data in ${wishes.data}, cluster ${wishes.cluster}`);
  const outside = outsideOf(wishes);
  const up = await startLocal({ ...wishes, outside, chosen, env: { ...call.env }, say, signal: call.signal });
  for (const line of [...summary(up, chosen.reason), ...outsideLines(outside)]) say(line);
  // With a starter there is no terminal that Ctrl-C would reach it from.
  const stop = process.connected ? downLine(wishes.data) : "Ctrl-C or `swain down`";
  say(`ready in ${((performance.now() - began) / 1000).toFixed(1)} s; stop it with ${stop}`);
  tellStarter({ ready: true });
  await aborted(call.signal);
  say(wishes.keepPods ? "stopping; pods go on" : "stopping, pods included");
  await up.stop();
  say("stopped");
  return 0;
}

const downLine = (data: string): string => `\`swain down --data ${shellWord(data)}\``;

function checkWishes(wishes: UpWishes): void {
  if (!/^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/.test(wishes.cluster)) {
    throw new SwainError("INVALID_ARGUMENT", `"${wishes.cluster}" is no name of a cluster: a DNS label of at most 32`);
  }
  if (wishes.server === undefined && wishes.creds !== undefined) {
    throw new SwainError("INVALID_ARGUMENT", "--creds belongs to --server; a server started here gets keys of its own");
  }
  const { listen, advertise, insecure } = wishes;
  if (wishes.server !== undefined && listen !== undefined) {
    const text = "--listen is for the NATS server started here, not for --server; the proxy's address is --proxy-host";
    throw new SwainError("INVALID_ARGUMENT", text);
  }
  if (listen === undefined && (insecure || advertise.length > 0)) {
    throw new SwainError("INVALID_ARGUMENT", `${insecure ? "--insecure" : "--advertise"} belongs to --listen`);
  }
  const wrong = [...(listen === undefined ? [] : [listen]), ...advertise].find((host) => !isHost(host));
  if (wrong !== undefined) {
    throw new SwainError("INVALID_ARGUMENT", `"${wrong}" is no address: an IP or a name, without a port (--port)`);
  }
}

function outsideOf({ listen, advertise, insecure }: UpWishes): Outside | undefined {
  if (listen === undefined) return undefined;
  const hosts = outerHosts(listen, advertise);
  if (hosts.length > 0) return { listen, hosts, tls: !insecure };
  throw new SwainError("INVALID_ARGUMENT", "this machine has no address that others reach: name one with --advertise");
}

function outsideLines(outside: Outside | undefined): string[] {
  if (outside === undefined) return [];
  const how = outside.tls
    ? "over TLS, with keys"
    : "with keys but WITHOUT TLS: anybody on the way can read and change all";
  return [`other machines reach NATS at ${outside.hosts.join(", ")} ${how}`, "let one join: swain node join-token"];
}

function summary(up: LocalUp, reason: string): string[] {
  const record = up.record();
  const nodes = record.nodes === 1 ? "1 node" : `${record.nodes} nodes`;
  return [
    `NATS at ${record.server}`,
    ...record.children
      .filter((child) => child.kind === "controller")
      .map((child) => `${child.name} runs (${child.pid})`),
    `${nodes} with runtime ${record.runtime}: ${reason}`,
    `proxy offers services on ${record.proxyHost}`,
    `logs in ${up.paths.log}`,
    `watch it: ${watchLine(up.paths.data)}`,
  ];
}

/** A line for the `nats` CLI that shows everything that happens. */
function watchLine(data: string): string {
  const cluster = localCluster(data);
  if (cluster === null) return "";
  const key = cluster.creds("operator");
  // A bare seed and a creds file go by different options there.
  const option = key === undefined ? "" : ` ${key.endsWith(".nk") ? "--nkey" : "--creds"} ${shellWord(key)}`;
  const ca = cluster.ca === undefined ? "" : ` --tlsca ${shellWord(cluster.ca)}`;
  return `nats --server ${cluster.server}${option}${ca} sub '${subjectsOf(cluster.cluster).feedAll}'`;
}

const shellWord = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/** Lines go to standard output, and to the starter of a detached supervisor. */
function speaker(call: Call): (line: string) => void {
  return (line) => {
    call.terminal.out(`${line}\n`);
    tellStarter({ line });
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    // The wait itself must keep this process alive: with `--server` and dead children nothing else might.
    const alive = setInterval(() => {}, 60_000);
    signal.addEventListener(
      "abort",
      () => {
        clearInterval(alive);
        resolve();
      },
      { once: true },
    );
  });
}
