// Opens the client for one command. The NATS client is loaded here and not before, so that --help does without it.
import type { Client } from "./client.ts";
import type { Call } from "./command.ts";

/** Runs `work` with a client that is closed afterwards in any case. Throws what opening it throws. `everyServer`: see `ConnectOptions`. */
export async function withClient<T>(call: Call, work: (client: Client) => Promise<T>, everyServer = false): Promise<T> {
  const { openClient } = await import("./client.ts");
  const client = await openClient(call, everyServer);
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}
