// Standard input and output of this process as commands see them.
import type { Terminal } from "./command.ts";

/** The real terminal. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr } = process;
  const interactive = stdout.isTTY;
  const noColor = process.env.NO_COLOR ?? "";
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
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
