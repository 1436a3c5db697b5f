// A program on no node, behind Swain's proxies: it serves HTTP, registers itself as an endpoint of a service, renews that
// while it lives, and takes itself out before it ends. When it dies instead, its registration runs out after TTL.
//
//   npm install nats@npm:@nats-io/transport-node
//   SERVICE=legacy node external-endpoint.mjs
//
// SWAIN_SERVER, SWAIN_CREDS   the cluster's NATS server, and the file with the operator's nkey seed
// SWAIN_CA                    the authority of a tls:// server (default: ca.pem beside SWAIN_CREDS, where it is there)
// SERVICE                     the service; NAMESPACE and CLUSTER (default: default)
// PORT_NAME                   which port of the service this answers: its targetPort (default: http)
// HOST, PORT                  where proxies reach this program (default: 127.0.0.1 and a free port)
// NAME                        its name within the service (default: made of the process id)
// TTL                         seconds without a renewal until it is removed (default: 15)
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { connect, nkeyAuthenticator } from "nats";

const { env } = process;
const name = env.NAME ?? `external-${process.pid}`;
const host = env.HOST ?? "127.0.0.1";
const ttl = Number(env.TTL ?? 15);

const server = createServer((_request, response) => response.end(`hello from ${name}\n`));
await new Promise((resolve) => server.listen(Number(env.PORT ?? 0), host, resolve));
const address = { name: env.PORT_NAME ?? "http", host, port: server.address().port };

/** The authority of a cluster that `swain up --listen` started is its own, which no system trusts by itself. */
function tlsOf(server) {
  if (!server.startsWith("tls://")) return {};
  const beside = env.SWAIN_CREDS === undefined ? undefined : join(dirname(env.SWAIN_CREDS), "ca.pem");
  const file = env.SWAIN_CA ?? (beside !== undefined && existsSync(beside) ? beside : undefined);
  return file === undefined ? {} : { tls: { ca: readFileSync(file, "utf8") } };
}

const swain = env.SWAIN_SERVER ?? "nats://127.0.0.1:4222";
const seed = env.SWAIN_CREDS === undefined ? undefined : Buffer.from(readFileSync(env.SWAIN_CREDS, "utf8").trim());
const bus = await connect({
  servers: swain,
  ...tlsOf(swain),
  name,
  // Serve on, and renew again, however long the bus is away.
  maxReconnectAttempts: -1,
  ...(seed === undefined ? {} : { authenticator: nkeyAuthenticator(seed) }),
});

async function ask(verb, more = {}) {
  const subject = `swain.${env.CLUSTER ?? "default"}.api.${env.NAMESPACE ?? "default"}.endpoint.${verb}`;
  const body = JSON.stringify({ service: env.SERVICE, name, ...more });
  const answer = (await bus.request(subject, body, { timeout: 3000 })).json();
  if (answer.error !== undefined) throw new Error(`${answer.error.code}: ${answer.error.message}`);
}

const renew = () =>
  ask("register", { addresses: [address], ttl: `${ttl}s` }).then(
    () => true,
    (error) => console.error(`not registered now: ${error.message}`),
  );
if (await renew()) console.log(`${name} serves ${env.SERVICE} at ${host}:${address.port}`);
// Three tries within the time it stays registered.
const renewing = setInterval(() => void renew(), (ttl * 1000) / 3);

async function leave() {
  clearInterval(renewing);
  await ask("deregister").catch((error) => console.error(`not deregistered: ${error.message}`));
  await bus.close();
  // Connections that proxies opened before may finish.
  server.close(() => process.exit(0));
  server.closeIdleConnections();
}
process.once("SIGTERM", () => void leave());
