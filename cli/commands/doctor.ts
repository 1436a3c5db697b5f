import { asSwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import type { Finding } from "../doctor/finding.ts";
import { dataFolder } from "../local/layout.ts";
import { clusterArgs, resolveSettings } from "../settings.ts";

export default command({
  name: "doctor",
  description:
    "Look for what is wrong on this machine and with the cluster, and say the cure: exit code 1 when something is broken",
  examples: ["swain doctor", "swain doctor --server nats://10.0.0.5:4222 --creds operator.nk", "swain doctor -o json"],
  args: {
    output: { type: "enum", alias: "o", options: ["text", "json"], description: "Form of the output" },
    engine: {
      type: "string",
      valueHint: "SOCKET",
      description: "The container engine to look at (default: the one the agents here remember, else the usual places)",
    },
    ...clusterArgs,
  },
  run: doctor,
});

async function doctor(call: Call): Promise<number> {
  const { terminal } = call;
  const { findingText, findingsJson } = await import("../doctor/finding.ts");
  const json = call.option("output") === "json";
  const all: Finding[] = [];
  // Told as soon as it is found: the last looks take seconds where something is wrong.
  const tell = (...findings: readonly Finding[]): void => {
    all.push(...findings);
    if (!json) for (const finding of findings) terminal.out(findingText(finding, terminal.color));
  };
  const data = dataFolder(call.option("data"), call.env);
  const machine = await import("../doctor/machine.ts");
  tell(machine.checkNode(), ...[machine.checkLimits()].flatMap((one) => one ?? []), ...machine.checkData(data));
  tell(...machine.checkCertificate(data, Date.now()));
  tell(...(await machine.checkEngine(data, call.option("engine"))));
  const reached = await overTheBus(call, data, tell);
  if (!reached) tell(...(await machine.checkStart(call.env, data)));
  if (json) terminal.out(findingsJson(all));
  const broken = all.filter(({ level }) => level === "bad").length;
  if (!json) terminal.out(broken === 0 ? "\nNothing is broken.\n" : `\n${broken} broken.\n`);
  return broken === 0 ? 0 : 1;
}

/** True when the server was reached. */
async function overTheBus(call: Call, data: string, tell: (...findings: readonly Finding[]) => void): Promise<boolean> {
  const { bad, warn } = await import("../doctor/finding.ts");
  try {
    const { server, cluster, source } = await resolveSettings(call);
    const { openClient } = await import("../client.ts");
    const { checkCluster } = await import("../doctor/cluster.ts");
    const client = await openClient(call, true).catch((error: unknown) => {
      const { code, message } = asSwainError(error);
      // Nobody named a cluster, so its absence breaks nothing.
      const unnamed = source === "the default" && code === "NATS_UNREACHABLE";
      tell((unnamed ? warn : bad)("server", code, unnamed ? `no cluster was named, and ${message}` : message));
      return null;
    });
    if (client === null) return false;
    try {
      tell(...(await checkCluster(client, `${server}, cluster ${cluster} (from ${source}),`, data)));
    } finally {
      await client.close();
    }
    return true;
  } catch (error) {
    if (call.signal.aborted) throw error;
    const { code, message } = asSwainError(error);
    tell(bad("cluster", code, message));
    return false;
  }
}
