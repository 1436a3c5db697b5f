// Standard input and output of this process as commands see them.
import { errorKinds } from "../services/kernel/errors.ts";
import type { Terminal } from "./command.ts";

/** The real terminal; made once. Output that cannot be written ends this process, unless it is to be dropped. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr } = process;
  let isDropped = false;
  for (const stream of [stdout, stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (!isDropped) leave(error, stream === stdout);
    });
  }
  const interactive = stdout.isTTY;
  const noColor = process.env.NO_COLOR ?? "";
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    dropUnwritable: () => {
      isDropped = true;
    },
    drained: () =>
      stdout.writableNeedDrain ? new Promise((resolve) => stdout.once("drain", resolve)) : Promise.resolve(),
    input: async () => {
      stdin.setEncoding("utf8");
      let text = "";
      for await (const chunk of stdin) text += String(chunk);
      return text;
    },
    interactive,
    get columns() {
      return stderr.isTTY && process.env.TERM !== "dumb" ? stderr.columns : null;
    },
    color: interactive && noColor === "" && process.env.TERM !== "dumb",
  };
}

function leave(error: NodeJS.ErrnoException, isOutput: boolean): never {
  // A reader that has seen enough (`swain get pods | head -1`) ends us quietly.
  if (error.code === "EPIPE") process.exit(0);
  if (isOutput) {
    const reason = error.code === "ENOSPC" ? "no space is left where it goes" : error.message;
    const { action } = errorKinds.OUTPUT_FAILED;
    process.stderr.write(`error: OUTPUT_FAILED: the output cannot be written: ${reason}. ${action}\n`);
  }
  process.exit(1);
}
