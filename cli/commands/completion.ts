import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { scriptOf, shells } from "../completion-scripts.ts";

export default command({
  name: "completion",
  description: "Print a script that completes commands, options, kinds and names of objects in your shell",
  examples: [
    "source <(swain completion bash)",
    "swain completion zsh > ~/.zfunc/_swain",
    "swain completion fish > ~/.config/fish/completions/swain.fish",
  ],
  args: { shell: { type: "positional", required: false, description: "bash, zsh or fish" } },
  run: completion,
});

async function completion(call: Call): Promise<void> {
  const wanted = call.positionals[0];
  const shell = shells.find((known) => known === wanted);
  if (shell === undefined) {
    const said = wanted === undefined ? "say for which shell" : `there is no script for "${wanted}"`;
    throw new SwainError("INVALID_ARGUMENT", `${said}: ${shells.join(", ")}`);
  }
  call.terminal.out(scriptOf(shell));
}
