import { SwainError } from "../../services/kernel/errors.ts";
import { subjectsOf } from "../../services/bus/subjects.ts";
import { command } from "../command.ts";
import { dataFolder, localCluster } from "../local/layout.ts";

export default command({
  name: "nats-context",
  description: "Print a context for the `nats` CLI that reaches what `swain up` started, or save it there.",
  examples: [
    "swain nats-context",
    "swain nats-context --save && nats --context swain-default sub 'swain.default.feed.>'",
  ],
  args: {
    data: { type: "string", description: "Folder given to `swain up` (default: SWAIN_DATA or ~/.swain)" },
    save: { type: "boolean", description: "Write it where the `nats` CLI looks for contexts" },
  },
  run: async (call) => {
    const data = dataFolder(call.option("data"), call.env);
    const cluster = localCluster(data);
    if (cluster === null) throw new SwainError("NOT_RUNNING", `nothing runs from ${data}`);
    const { contextText, saveContext } = await import("../local/nats-context.ts");
    if (!call.flag("save")) return call.terminal.out(contextText(cluster));
    const { name, path } = await saveContext(cluster, call.env);
    call.terminal.out(`saved ${path}; use it: nats --context ${name} sub '${subjectsOf(cluster.cluster).feedAll}'\n`);
  },
});
