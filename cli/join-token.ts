// `swain node join-token`: the one line that lets another machine join. The key inside the line is made here and printed;
// over the bus goes its public half alone.
import type { ArgsDef } from "citty";
import { joinTokenReply } from "../schemas/generated/messages.js";
import type { JoinTokenReply } from "../schemas/generated/types.ts";
import { encodeJoinToken } from "../services/bus/join-token.ts";
import type { JoinKind } from "../services/bus/join-token.ts";
import { asSwainError, SwainError } from "../services/kernel/errors.ts";
import type { Client } from "./client.ts";
import type { Call } from "./command.ts";
import { durationMs } from "./durations.ts";
import { wholeNumber } from "./local/numbers.ts";
import { withClient } from "./with-client.ts";

export const joinTokenArgs = {
  role: {
    type: "enum",
    options: ["agent", "proxy"],
    description: "join-token: what the machine will run (default: agent)",
  },
  ttl: { type: "string", valueHint: "TIME", description: "join-token: how long it may be used (default: 1h)" },
  uses: { type: "string", valueHint: "N", description: "join-token: how many machines may use it (default: 1)" },
} as const satisfies ArgsDef;

const defaultTtlMs = 3_600_000;
const maxTtlMs = 30 * 24 * 3_600_000;
const maxUses = 1000;
/** The registrar answers when its server knows the token, and others may be ahead in its queue. */
const answerMs = 20_000;

/** Prints the line on standard output and what to do with it on standard error. Throws INVALID_ARGUMENT, JOIN_UNAVAILABLE … */
export async function printJoinToken(call: Call): Promise<void> {
  const kind = (call.option("role") ?? "agent") as JoinKind;
  const uses = wholeNumber("uses", call.option("uses"), 1, maxUses) ?? 1;
  const ttlMs = durationMs(call, "ttl") ?? defaultTtlMs;
  if (ttlMs < 1000 || ttlMs > maxTtlMs) {
    throw new SwainError("INVALID_ARGUMENT", `--ttl is from 1s to 720h, not "${call.option("ttl")}"`);
  }
  await withClient(call, async (client) => {
    const { nkeys } = await import("nats");
    const pair = nkeys.createUser();
    const request = { kind, publicKey: pair.getPublicKey(), ttlMs, uses };
    const { id, servers, ca } = await askForToken(client, kind, request);
    const seed = new TextDecoder().decode(pair.getSeed());
    const line = encodeJoinToken({ id, kind, cluster: client.cluster, servers, ca, seed });
    const rest = kind === "agent" ? "" : " --all --listen 0.0.0.0";
    const machines = uses === 1 ? "one machine" : `${uses} machines`;
    const insecure = ca === null ? " --insecure" : "";
    call.terminal.out(`${line}\n`);
    call.terminal.err(
      `for ${machines}, for ${Math.round(ttlMs / 1000)} s; whoever has the line can join, so keep it secret. There:\n` +
        `  swain ${kind} --join TOKEN${insecure}${rest}\n`,
    );
  });
}

async function askForToken(client: Client, kind: JoinKind, request: object): Promise<JoinTokenReply> {
  const { answerOf } = await import("./client.ts");
  try {
    const reply = answerOf(await client.bus.request(client.subjects.join.token, request, { timeoutMs: answerMs }));
    if (joinTokenReply(reply)) return reply;
  } catch (error) {
    const known = asSwainError(error);
    if (known.code !== "NO_LEADER") throw known;
    throw new SwainError("JOIN_UNAVAILABLE", await byHand(client.cluster, kind), { cause: error });
  }
  throw new SwainError("INTERNAL", "the answer to the request for a token is none");
}

/** What to do where no `swain up --listen` keeps the users. */
async function byHand(cluster: string, kind: JoinKind): Promise<string> {
  const { userText } = await import("../services/bus/embedded/config.ts");
  const block = userText({ role: `${kind}-ID`, publicKey: "PUBLIC KEY" }, cluster);
  return `no \`swain up --listen\` lets machines join here; a nats-server of your own needs this user:\n${block}`;
}
