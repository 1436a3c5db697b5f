// The joining side: with a token, a machine makes a key of its own, has it entered in the cluster, and keeps what it needs
// to come back without the token. The seed of the key never leaves the machine.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { joinReply } from "../schemas/generated/messages.js";
import type { JoinRequest } from "../schemas/generated/types.ts";
import { decodeJoinToken } from "../services/bus/join-token.ts";
import type { JoinKind, JoinToken } from "../services/bus/join-token.ts";
import { seedFile } from "../services/bus/embedded/roles.ts";
import { subjectsOf } from "../services/bus/subjects.ts";
import { asSwainError, SwainError } from "../services/kernel/errors.ts";
import type { Call } from "./command.ts";
import { makeFolder } from "../services/kernel/node/folder.ts";
import { isLoopback } from "./local/addresses.ts";
import { joinedFile } from "./local/joined-file.ts";
import type { Joined } from "./local/joined-file.ts";

export interface JoinWish {
  readonly kind: JoinKind;
  readonly id: string;
  /** The part's own folder. */
  readonly folder: string;
}

/** Long enough for a way across the world; a server that is not there is told soon. */
const connectMs = 15_000;
/** The registrar waits up to 8 s for an agent that was removed and 10 s for its server; others may be ahead in its queue. */
const answerMs = 30_000;
/** What was joined is tried no longer at a start: a cluster that is away is waited for by the part itself. */
const tryMs = 5000;

/**
 * Joins with the token of --join (`-` reads it from standard input) and returns what was kept. Throws JOIN_TOKEN_INVALID,
 * JOIN_TOKEN_REFUSED, INSECURE_REFUSED, SERVER_UNTRUSTED, JOIN_UNREACHABLE, JOIN_UNAVAILABLE and what the registrar answers.
 */
export async function joinCluster(call: Call, wish: JoinWish): Promise<Joined> {
  return joinWith(call, wish, await tokenOf(call));
}

/**
 * What was kept, while its cluster accepts it or is away: the line may stay in a unit file long after its time. Joins with
 * the token when it is of another cluster, or when the credentials kept are refused, as they are once the node was removed.
 * Throws like `joinCluster`.
 */
export async function joinAnew(call: Call, wish: JoinWish, kept: Joined): Promise<Joined> {
  // A line that cannot be read any more is as good as one whose time is over.
  const token = await tokenOf(call).catch((error: unknown) => asSwainError(error));
  const isOther = !(token instanceof SwainError) && !isOfCluster(token, kept);
  if (isOther) return joinWith(call, wish, token);
  if (!(await isRefused(call, kept))) return kept;
  try {
    if (token instanceof SwainError) throw token;
    return await joinWith(call, wish, token);
  } catch (error) {
    const { code, message } = asSwainError(error);
    const why = `the cluster refuses what was joined in ${wish.folder} (was ${wish.kind} ${wish.id} removed?)`;
    throw new SwainError(code, `${why}, and the line of --join does not help: ${message}`, { cause: error });
  }
}

async function tokenOf(call: Call): Promise<JoinToken> {
  const given = call.option("join") ?? "";
  return decodeJoinToken(given === "-" ? await call.terminal.input() : given);
}

/** By the authority, which every cluster makes for itself; without TLS by its addresses. */
function isOfCluster({ cluster, ca, servers }: JoinToken, kept: Joined): boolean {
  if (cluster !== kept.cluster) return false;
  if (ca === null) return kept.server.split(",").some((server) => servers.includes(server));
  try {
    return readFileSync(join(dirname(kept.creds), "ca.pem"), "utf8").trim() === ca.trim();
  } catch {
    return false;
  }
}

/** True when a server of the cluster says that it does not know the key; not when none answers. */
async function isRefused(call: Call, { server, cluster, creds, id }: Joined): Promise<boolean> {
  const { connectBus } = await import("../services/bus/connect.ts");
  const { silent } = await import("../services/kernel/log.ts");
  const { systemClock } = await import("../services/kernel/node/clock.ts");
  const { systemRandom } = await import("../services/kernel/node/ids.ts");
  const ports = { clock: systemClock, random: systemRandom, log: silent, signal: call.signal };
  const options = { servers: server, name: `look ${id}`, cluster, creds, connectTimeoutMs: tryMs };
  try {
    const bus = await connectBus({ ...ports, ...options });
    await bus.close();
    return false;
  } catch (error) {
    return asSwainError(error).code === "NATS_DENIED";
  }
}

async function joinWith(call: Call, { kind, id, folder }: JoinWish, token: JoinToken): Promise<Joined> {
  if (token.kind !== kind) {
    throw new SwainError(
      "JOIN_TOKEN_INVALID",
      `the join token is for \`swain ${token.kind}\`, not for \`swain ${kind}\``,
    );
  }
  refuseInsecure(token, call.flag("insecure"));
  const { systemDisk } = await import("../services/kernel/node/disk.ts");
  const { ensureUsers } = await import("../services/bus/embedded/keys.ts");
  const creds = join(folder, "creds");
  makeFolder(creds);
  const role = `${kind}-${id}` as const;
  // Kept before it is asked for: when the answer gets lost, the next try asks with the same key.
  const [user] = await ensureUsers(systemDisk, creds, [role]);
  await ask(call, token, { kind, id, publicKey: user?.publicKey ?? "" });
  if (token.ca !== null) await systemDisk.writeAtomic(join(creds, "ca.pem"), token.ca);
  const joined = { server: token.servers.join(","), cluster: token.cluster, id, creds: seedFile(creds, role) };
  await systemDisk.writeAtomic(joinedFile(folder), `${JSON.stringify(joined, null, 2)}\n`);
  call.terminal.err(`joined cluster ${token.cluster} as ${kind} ${id}; restarts need no token\n`);
  return joined;
}

function refuseInsecure({ ca, servers }: JoinToken, isSaid: boolean): void {
  if (ca !== null && servers.every((server) => server.startsWith("tls://"))) return;
  if (isSaid || servers.every((server) => isLoopback(new URL(server).hostname.replace(/^\[|\]$/g, "")))) return;
  throw new SwainError("INSECURE_REFUSED", `the cluster at ${servers.join(", ")} is reached without TLS`);
}

/** Why the server was not reached, in the words and with the cure of one who joins. */
export function notConnected(error: unknown, places: string): SwainError {
  const known = asSwainError(error);
  if (known.code === "NATS_UNREACHABLE") {
    const text = `the cluster of the join token does not answer at ${places}`;
    return new SwainError("JOIN_UNREACHABLE", text, { cause: error });
  }
  if (known.code !== "NATS_DENIED") return known;
  return new SwainError("JOIN_TOKEN_REFUSED", `${places} does not know the join token`, { cause: error });
}

async function ask(call: Call, token: JoinToken, request: JoinRequest): Promise<void> {
  const { connectBus } = await import("../services/bus/connect.ts");
  const { silent } = await import("../services/kernel/log.ts");
  const { systemClock } = await import("../services/kernel/node/clock.ts");
  const { systemRandom } = await import("../services/kernel/node/ids.ts");
  const { answerOf } = await import("./client.ts");
  const { join: subjects } = subjectsOf(token.cluster);
  const bus = await connectBus({
    servers: token.servers.join(","),
    name: `join ${request.id}`,
    cluster: token.cluster,
    seed: token.seed,
    ...(token.ca === null ? {} : { ca: token.ca }),
    inboxPrefix: subjects.inbox(token.id),
    connectTimeoutMs: connectMs,
    clock: systemClock,
    random: systemRandom,
    log: silent,
    signal: call.signal,
  }).catch((error: unknown) => {
    throw notConnected(error, token.servers.join(", "));
  });
  try {
    const reply = answerOf(await bus.request(subjects.ask(token.id), request, { timeoutMs: answerMs }));
    if (!joinReply(reply)) throw new SwainError("INTERNAL", "the answer to the join request is none");
  } catch (error) {
    const known = asSwainError(error);
    if (known.code !== "NO_LEADER") throw known;
    throw new SwainError("JOIN_UNAVAILABLE", "the cluster lets nobody join now: its `swain up` is not running", {
      cause: error,
    });
  } finally {
    await bus.close();
  }
}
