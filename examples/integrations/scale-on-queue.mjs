// Scales a workload on the length of a queue: one worker for every PER waiting messages, within MIN and MAX.
// The queue is a consumer of a JetStream stream, here or on another NATS server.
//
//   npm install nats@npm:@nats-io/transport-node @nats-io/jetstream
//   QUEUE_STREAM=JOBS QUEUE_CONSUMER=workers WORKLOAD=worker node scale-on-queue.mjs
//
// SWAIN_SERVER, SWAIN_CREDS   the cluster's NATS server, and the file with the operator's nkey seed
// SWAIN_CA                    the authority of a tls:// server (default: ca.pem beside SWAIN_CREDS, where it is there)
// QUEUE_SERVER                the server of the queue (default: SWAIN_SERVER)
// QUEUE_STREAM, QUEUE_CONSUMER
// WORKLOAD                    whose replicas follow; NAMESPACE and CLUSTER (default: default)
// PER, MIN, MAX, EVERY_MS     messages for one replica (100), bounds (1 and 10), and how often to look (5000)
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, nkeyAuthenticator } from "nats";

const { env } = process;
const number = (name, otherwise) => Number(env[name] ?? otherwise);
const [per, min, max, everyMs] = [number("PER", 100), number("MIN", 1), number("MAX", 10), number("EVERY_MS", 5000)];
const { WORKLOAD: workload, QUEUE_STREAM: stream, QUEUE_CONSUMER: consumer } = env;
const subject = `swain.${env.CLUSTER ?? "default"}.api.${env.NAMESPACE ?? "default"}.workload`;

/** The authority of a cluster that `swain up --listen` started is its own, which no system trusts by itself. */
function tlsOf(server) {
  if (!server.startsWith("tls://")) return {};
  const beside = env.SWAIN_CREDS === undefined ? undefined : join(dirname(env.SWAIN_CREDS), "ca.pem");
  const file = env.SWAIN_CA ?? (beside !== undefined && existsSync(beside) ? beside : undefined);
  return file === undefined ? {} : { tls: { ca: readFileSync(file, "utf8") } };
}

const servers = env.SWAIN_SERVER ?? "nats://127.0.0.1:4222";
const seed = env.SWAIN_CREDS === undefined ? undefined : Buffer.from(readFileSync(env.SWAIN_CREDS, "utf8").trim());
const swain = await connect({
  servers,
  ...tlsOf(servers),
  name: "scale-on-queue",
  maxReconnectAttempts: -1,
  ...(seed === undefined ? {} : { authenticator: nkeyAuthenticator(seed) }),
});
const queue =
  env.QUEUE_SERVER === undefined ? swain : await connect({ servers: env.QUEUE_SERVER, maxReconnectAttempts: -1 });
const consumers = (await jetstreamManager(queue)).consumers;

/** Asks the leader; its answer is JSON, with `error` when it refused. */
async function ask(verb, body) {
  const answer = (await swain.request(`${subject}.${verb}`, JSON.stringify(body), { timeout: 5000 })).json();
  if (answer.error !== undefined) throw new Error(`${answer.error.code}: ${answer.error.message}`);
  return answer;
}

async function look() {
  const { num_pending: waiting, num_ack_pending: inWork } = await consumers.info(stream, consumer);
  const wanted = Math.min(max, Math.max(min, Math.ceil((waiting + inWork) / per)));
  const { replicas } = (await ask("get", { name: workload })).items[0].spec;
  if (wanted === replicas) return;
  // The operation id makes a repeated request harmless.
  await ask("scale", { operation: randomUUID(), name: workload, replicas: wanted });
  console.log(`${waiting} waiting, ${inWork} in work: ${workload} from ${replicas} to ${wanted}`);
}

let timer;
function tick() {
  look()
    .catch((error) => console.error(`not now: ${error.message}`))
    .finally(() => {
      timer = setTimeout(tick, everyMs);
    });
}
tick();

process.once("SIGTERM", () => {
  clearTimeout(timer);
  void Promise.all([swain.close(), queue.close()]).finally(() => process.exit(0));
});
