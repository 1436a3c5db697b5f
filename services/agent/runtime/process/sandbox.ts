// What a process may do: its user and groups, its limits, and whether it may gain rights. `prlimit` and `setpriv`
// (util-linux) stand before the command and give way to it; whether they can do it is tried before the start, so that a
// refusal has a reason. The variables of environment files are read here as well.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import type { Container } from "../../../../schemas/generated/types.ts";
import { unlimitedOfContainer, unsupportedOfContainer } from "../../../core/processes.ts";
import { SwainError } from "../../../kernel/errors.ts";
import { findProgram } from "./programs.ts";

/** A trial does nothing but start; longer means that the machine is stuck. */
const trialMs = 10_000;

/** More than this is no file of variables. */
const envFileBytes = 1024 * 1024;

/** Throws FIELD_UNSUPPORTED for what a process cannot have; `limits` are those this node can hold. */
export function refuseUnsupported(container: Container, limits: readonly string[]): void {
  const fields = [...unsupportedOfContainer(container), ...unlimitedOfContainer(container, limits)];
  if (fields.length === 0) return;
  throw new SwainError("FIELD_UNSUPPORTED", `container ${container.name}: a process cannot have ${fields.join(", ")}`);
}

/** The words before a command. Rejects with SANDBOX_REFUSED when this node cannot give what is asked for. */
export async function prefixOf(container: Container): Promise<string[]> {
  const words = [...(await limitWords(container)), ...(await rightWords(container))];
  if (words.length === 0) return words;
  await new Promise<void>((resolve, reject) => {
    const [program, ...rest] = [...words, "/bin/true"];
    execFile(program, rest, { timeout: trialMs, env: {} }, (error, _, stderr) => {
      if (error === null) resolve();
      else reject(refused(container, stderr.trim() || error.message));
    });
  });
  return words;
}

const refused = (container: Container, why: string): SwainError =>
  new SwainError("SANDBOX_REFUSED", `container ${container.name}: ${why}`);

async function limitWords(container: Container): Promise<string[]> {
  const { ulimits = [] } = container;
  if (ulimits.length === 0) return [];
  const limit = (value: number): string => (value === -1 ? "unlimited" : String(value));
  const words = ulimits.map(({ name, soft, hard = soft }) => `--${name}=${limit(soft)}:${limit(hard)}`);
  return [await helper("prlimit", container), ...words, "--"];
}

async function rightWords(container: Container): Promise<string[]> {
  const { user, groups = [], noNewPrivileges = false } = container.security ?? {};
  const words = noNewPrivileges ? ["--no-new-privs"] : [];
  if (user !== undefined) {
    const [name = "", group] = String(user).split(":");
    const account = await accountOf(name, container);
    const gid = group === undefined ? account.gid : await groupOf(group, container);
    const others = await Promise.all(groups.map((one) => groupOf(String(one), container)));
    words.push(`--reuid=${account.uid}`, `--regid=${gid}`);
    words.push(others.length === 0 ? "--clear-groups" : `--groups=${others.join(",")}`);
  } else if (groups.length > 0) {
    const others = await Promise.all(groups.map((one) => groupOf(String(one), container)));
    words.push(`--groups=${others.join(",")}`);
  }
  return words.length === 0 ? [] : [await helper("setpriv", container), ...words, "--"];
}

async function helper(name: string, container: Container): Promise<string> {
  const path = await findProgram(name);
  if (path === null) throw refused(container, `this node has no ${name}, which user, groups and limits need`);
  return path;
}

const isNumber = (text: string): boolean => /^[0-9]{1,10}$/.test(text);

/** A number needs no entry; its group is then the same number, as in containers without one. */
async function accountOf(name: string, container: Container): Promise<{ uid: string; gid: string }> {
  const lines = (await readFile("/etc/passwd", "utf8").catch(() => "")).split("\n").map((line) => line.split(":"));
  const found = lines.find((line) => (isNumber(name) ? line[2] === name : line[0] === name));
  if (found?.[2] !== undefined && found[3] !== undefined) return { uid: found[2], gid: found[3] };
  if (isNumber(name)) return { uid: name, gid: name };
  throw refused(container, `this node has no user ${name}`);
}

async function groupOf(name: string, container: Container): Promise<string> {
  if (isNumber(name)) return name;
  const lines = (await readFile("/etc/group", "utf8").catch(() => "")).split("\n").map((line) => line.split(":"));
  const gid = lines.find((line) => line[0] === name)?.[2];
  if (gid === undefined) throw refused(container, `this node has no group ${name}`);
  return gid;
}

/** Variables of the container's files, later ones over earlier. Rejects with ENV_FILE_FAILED. */
export async function fileVariables(container: Container): Promise<Record<string, string>> {
  const variables: Record<string, string> = {};
  for (const given of container.process?.envFiles ?? []) {
    const optional = given.startsWith("-");
    const path = optional ? given.slice(1) : given;
    const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (optional && error.code === "ENOENT") return "";
      throw new SwainError("ENV_FILE_FAILED", `${path} cannot be read: ${error.code ?? error.message}`);
    });
    if (text.length > envFileBytes) throw new SwainError("ENV_FILE_FAILED", `${path} is larger than 1 MiB`);
    for (const [index, line] of text.split("\n").entries()) {
      const trimmed = line.trim();
      if (trimmed === "" || trimmed.startsWith("#")) continue;
      const found = /^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(trimmed);
      // The line itself may hold a secret.
      if (found === null) throw new SwainError("ENV_FILE_FAILED", `${path}:${index + 1} is not NAME=value`);
      if (line.includes("\0"))
        throw new SwainError("ENV_FILE_FAILED", `${path}:${index + 1} holds a NUL, as no variable can`);
      variables[found[1] ?? ""] = unquoted(found[2] ?? "");
    }
  }
  return variables;
}

/** One pair of quotes around all of it is taken off; nothing inside is interpreted. */
function unquoted(value: string): string {
  const quoted = /^"(.*)"$/.exec(value) ?? /^'(.*)'$/.exec(value);
  return quoted?.[1] ?? value;
}
