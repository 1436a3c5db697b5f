// Makes tour.svg: a terminal picture of a real run. Starts a cluster on this machine, types the commands of the README's
// tour at a real terminal (util-linux `script`), draws what they printed, and leaves nothing running.
//
//   npm run picture        (needs a free port 8080)
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");
const main = join(root, "dist/cli/main.js");
const data = mkdtempSync(join(tmpdir(), "swain-picture-"));
const columns = 112;

/** What a shell command prints on a terminal. Throws when it fails. */
function typed(command) {
  const env = { ...process.env, SWAIN_DATA: data, TERM: "xterm-256color", COLUMNS: String(columns) };
  delete env.NO_COLOR;
  const shell = command.replaceAll(/\bswain\b(?= )/g, `'${process.execPath}' '${main}'`);
  const run = spawnSync("script", ["-qec", `stty cols ${columns} 2>/dev/null; ${shell}`, "/dev/null"], {
    cwd: root,
    env,
    encoding: "utf8",
    timeout: 120_000,
  });
  if (run.status !== 0) throw new Error(`${command}\n${run.stdout}${run.stderr}`);
  return run.stdout.replaceAll(data, "~/.swain").replaceAll("\r\n", "\n");
}

/** The screen after the text: progress lines that overwrite themselves leave their last state. */
function lines(text) {
  return text
    .replaceAll(/\u001b\[[0-9;?]*[A-LN-Za-ln-z]/g, "")
    .split("\n")
    .map((line) => line.split("\r").findLast((part) => part !== "") ?? "")
    .map((line) => line.trimEnd());
}

const palette = {
  1: "font-weight:bold",
  2: "opacity:.6",
  31: "fill:#ff7b72",
  32: "fill:#7ee787",
  33: "fill:#e3b341",
  34: "fill:#79c0ff",
  35: "fill:#d2a8ff",
  36: "fill:#76e3ea",
  90: "fill:#8b949e",
};

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** One line with colour codes as SVG text. */
function drawn(line, y) {
  const styles = new Set();
  let out = "";
  for (const part of line.split(/(\u001b\[[0-9;]*m)/)) {
    const code = /^\u001b\[([0-9;]*)m$/.exec(part);
    if (code === null) {
      if (part === "") continue;
      const style = [...styles].map((one) => palette[one]).filter((one) => one !== undefined);
      out += `<tspan${style.length === 0 ? "" : ` style="${style.join(";")}"`}>${escaped(part)}</tspan>`;
      continue;
    }
    for (const number of (code[1] === "" ? "0" : code[1]).split(";").map(Number)) {
      if (number === 0) styles.clear();
      else if (number === 22) [1, 2].forEach((one) => styles.delete(one));
      else if (number === 39) [...styles].filter((one) => one >= 30).forEach((one) => styles.delete(one));
      else styles.add(number);
    }
  }
  return `<text x="16" y="${y}" xml:space="preserve">${out}</text>`;
}

const scenes = [
  { command: "swain up --nodes 3 --detach --runtime process", from: /^NATS at/ },
  { command: "swain apply -f examples/hello --wait" },
  { command: "swain get pods" },
  { command: "curl -s http://127.0.0.1:8080" },
  { command: "swain scale workload/hello --replicas 5 --wait" },
  { command: "swain node drain node-2 --wait" },
  { command: "swain get pods" },
  { command: "swain node ls" },
];

const screen = [];
try {
  for (const { command, from } of scenes) {
    const shown = lines(typed(command));
    const first =
      from === undefined
        ? 0
        : Math.max(
            0,
            shown.findIndex((line) => from.test(line)),
          );
    screen.push(
      `\u001b[32m$\u001b[0m \u001b[1m${command}\u001b[0m`,
      ...shown.slice(first).filter((line) => line !== ""),
      "",
    );
  }
} finally {
  spawnSync(process.execPath, [main, "down", "--data", data], { stdio: "ignore" });
  rmSync(data, { recursive: true, force: true });
}

const lineHeight = 18;
const width = 16 * 2 + columns * 7.85;
const height = 56 + screen.length * lineHeight;
const dots = ["#ff5f56", "#ffbd2e", "#27c93f"].map(
  (fill, at) => `<circle cx="${20 + at * 18}" cy="18" r="5.5" fill="${fill}"/>`,
);
writeFileSync(
  join(import.meta.dirname, "tour.svg"),
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
${dots.join("")}
<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="13" fill="#e6edf3">
${screen.map((line, at) => drawn(line, 52 + at * lineHeight)).join("\n")}
</g>
</svg>
`,
);
