import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { operateArgs, partId, partLog, runPart } from "../part.ts";
import { clusterArgs, resolveSettings } from "../settings.ts";

export default command({
  name: "controller",
  description: "Run a controller in the foreground; of several, one leads and the others stand by",
  examples: [
    "swain controller --server nats://10.0.0.5:4222 --creds controller.nk",
    "swain controller --id controller-2 --replicas 3",
  ],
  args: {
    id: { type: "string", valueHint: "ID", description: "Its name in the log (default: from the hostname)" },
    replicas: { type: "string", valueHint: "1|3", description: "Copies of the log and the buckets (default: 1)" },
    ...operateArgs,
    ...clusterArgs,
  },
  run: controller,
});

async function controller(call: Call): Promise<void> {
  call.terminal.dropUnwritable();
  const replicas = call.option("replicas");
  if (replicas !== undefined && replicas !== "1" && replicas !== "3") {
    throw new SwainError("INVALID_ARGUMENT", `--replicas is 1 or 3, not "${replicas}"`);
  }
  const id = partId(call, "controller-");
  const { server, cluster, creds } = await resolveSettings(call, "controller");
  const { startController } = await import("../../services/controller/main.ts");
  const options = {
    server,
    cluster,
    id,
    replicas: Number(replicas ?? "1"),
    log: await partLog(call),
    signal: call.signal,
  };
  const start = (): ReturnType<typeof startController> =>
    startController(creds === undefined ? options : { ...options, creds });
  await runPart(call, start, () => `controller ${id} cluster ${cluster}`);
}
