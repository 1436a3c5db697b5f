// A context file of the `nats` CLI for a local cluster.
import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import { systemDisk } from "../../services/kernel/node/disk.ts";
import type { LocalCluster } from "./layout.ts";

/** The file's content: the operator's access. It names the key's file and holds no secret itself. */
export function contextText(cluster: LocalCluster): string {
  const key = cluster.creds("operator");
  const access = key === undefined ? {} : key.endsWith(".nk") ? { nkey: key } : { creds: key };
  const ca = cluster.ca === undefined ? {} : { ca: cluster.ca };
  const context = { description: `Swain cluster ${cluster.cluster}`, url: cluster.server, ...access, ...ca };
  return `${JSON.stringify(context, null, 2)}\n`;
}

/** The user's home as the `nats` CLI knows it: of the list of users, whatever HOME says. */
function natsHome(): string {
  try {
    return userInfo().homedir;
  } catch {
    return homedir();
  }
}

/** Writes it as `swain-<cluster>` into the `nats` CLI's folder of contexts. */
export async function saveContext(
  cluster: LocalCluster,
  env: Readonly<Record<string, string | undefined>>,
): Promise<{ name: string; path: string }> {
  const named = env["XDG_CONFIG_HOME"];
  const config = named === undefined || named === "" ? join(natsHome(), ".config") : named;
  const name = `swain-${cluster.cluster}`;
  const path = join(config, "nats", "context", `${name}.json`);
  await systemDisk.writeAtomic(path, contextText(cluster));
  return { name, path };
}
