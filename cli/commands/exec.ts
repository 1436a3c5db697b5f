import { SwainError } from "../../services/kernel/errors.ts";
import { command } from "../command.ts";
import type { Call } from "../command.ts";
import { namespaceArg, namespaceOf, parseObject } from "../kinds.ts";
import { clusterArgs } from "../settings.ts";
import { processKeys } from "../tty.ts";
import { errorText } from "../output/error.ts";
import { withClient } from "../with-client.ts";

export default command({
  name: "exec",
  description: "Run a program in a pod; what follows -- is the program and its arguments",
  examples: [
    "swain exec pod/web-1 -- ls -l /",
    "swain exec -it pod/web-1 -- sh",
    "swain exec -i pod/web-1 -c db -- psql < dump.sql",
  ],
  args: {
    pod: { type: "positional", required: false, description: "pod/NAME" },
    "command...": { type: "positional", required: false, description: "The program and its arguments, after --" },
    stdin: { type: "boolean", alias: "i", description: "Pass standard input on" },
    tty: { type: "boolean", alias: "t", description: "Give it a terminal; needs one here" },
    container: { type: "string", alias: "c", valueHint: "NAME", description: "One container (default: the first)" },
    ...namespaceArg,
    ...clusterArgs,
  },
  run: exec,
});

async function exec(call: Call): Promise<number> {
  const [object, ...words] = call.positionals;
  const { resource, name } = parseObject(object, undefined);
  if (resource !== "pod") throw new SwainError("INVALID_ARGUMENT", "programs run in pods, name one: pod/NAME");
  if (words.length === 0) {
    throw new SwainError("INVALID_ARGUMENT", "say what to run, after --: swain exec pod/NAME -- PROGRAM ARGUMENTS");
  }
  const keys = processKeys();
  const tty = call.flag("tty");
  if (tty && !keys.interactive) {
    throw new SwainError("INVALID_ARGUMENT", "-t needs a terminal, and standard input is none: leave it out");
  }
  const wanted = {
    namespace: namespaceOf(call),
    pod: name,
    container: call.option("container"),
    command: words,
    tty,
    // A terminal that takes no keys would be of no use.
    stdin: call.flag("stdin") || tty,
  };
  const { runProgram } = await import("../exec-session.ts");
  const write = async (stream: "stdout" | "stderr", data: Uint8Array): Promise<void> => {
    const target = stream === "stderr" ? process.stderr : process.stdout;
    await new Promise<void>((resolve) => {
      target.write(data, () => resolve());
    });
  };
  try {
    return await withClient(call, (client) => runProgram(client, keys, write, wanted));
  } catch (error) {
    // As a shell does: 127 for a program that is not there, 126 for one that may not be run.
    if (!(error instanceof SwainError) || error.code !== "COMMAND_NOT_FOUND") throw error;
    call.terminal.err(errorText(error));
    const { exitCode } = error.details;
    return typeof exitCode === "number" ? exitCode : 127;
  }
}
