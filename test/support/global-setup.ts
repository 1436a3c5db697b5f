// Before any test: a machine without a nats-server gets one the way `swain up` would get it, into the same cache, so that
// the tests that need one find it there.
import { resolveServer } from "../../services/bus/embedded/resolve.ts";
import { findServers } from "./nats.ts";

export default async function setup(): Promise<void> {
  const { old, current } = findServers();
  if (old !== undefined || current !== undefined) return;
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  const server = await resolveServer({ env: process.env, signal: new AbortController().signal, say });
  say(`nats-server ${server.version} at ${server.path} (${server.found})`);
}
