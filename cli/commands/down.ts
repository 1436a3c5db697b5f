import { command } from "../command.ts";
import { dataFolder } from "../local/layout.ts";

export default command({
  name: "down",
  description: "Stop what `swain up` started from --data, pods included unless it was started with --keep-pods.",
  examples: ["swain down", "swain down --data /srv/swain"],
  args: {
    data: { type: "string", description: "Folder given to `swain up` (default: SWAIN_DATA or ~/.swain)" },
  },
  run: async (call) => {
    const { stopLocal } = await import("../local/stop.ts");
    await stopLocal(dataFolder(call.option("data"), call.env), (line) => call.terminal.out(`${line}\n`));
  },
});
