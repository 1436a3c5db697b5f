import { version } from "../../services/kernel/version.ts";
import { command } from "../command.ts";

export default command({
  name: "version",
  description: "Print the version of this program",
  examples: ["swain version"],
  args: {},
  run: async ({ terminal }) => terminal.out(`${version}\n`),
});
