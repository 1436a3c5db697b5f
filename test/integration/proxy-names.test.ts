// Connects to names with several addresses, over both ways to carry bytes.
import dns from "node:dns";
import { once } from "node:events";
import { syncBuiltinESMExports } from "node:module";
import { createServer, isIP } from "node:net";
import { describe, expect, it } from "vitest";
import { SwainError } from "../../services/kernel/errors.ts";
import { handleCarrier } from "../../services/kernel/node/sockets-handles.ts";
import { streamCarrier } from "../../services/kernel/node/sockets-streams.ts";
import { socketsOver } from "../../services/kernel/node/sockets.ts";
import { backend, cleanups, client, host, readAll, silentListener } from "../support/tcp.ts";

describe.each([
  ["handles", handleCarrier() ?? streamCarrier],
  ["streams", streamCarrier],
])("names over %s", (kind, carrier) => {
  const sockets = socketsOver(carrier);

  it("dials the next address of a name when one refuses or is silent", async () => {
    const to = await backend((socket) => socket.end("hello"));
    const hear = async (name: string, port: number): Promise<string> => {
      const listener = await sockets.listen(host, 0, (near) => {
        void sockets.connect(name, port, 2000).then(
          (far) => near.pipe(far),
          () => near.destroy(),
        );
      });
      cleanups.push(() => listener.close());
      return String(await readAll(await client(listener.port)));
    };
    named("refuses.test", ["::1", "127.0.0.2", host]);
    expect(await hear("refuses.test", to)).toBe("hello");
    const { port: silent } = await silentListener();
    const beside = createServer((socket) => socket.end("beside")).listen(silent, "127.0.0.2");
    await once(beside, "listening");
    cleanups.push(() => beside.close());
    named("silent.test", [host, "127.0.0.2", "::1"]);
    expect(await hear("silent.test", silent)).toBe("beside");
    named("nobody.test", ["127.0.0.3", "127.0.0.2"]);
    await expect(sockets.connect("nobody.test", to, 2000)).rejects.toMatchObject({
      code: "CONNECT_FAILED",
      details: { reason: "ECONNREFUSED" },
    });
    const refusal = new SwainError("BACKEND_IS_PROXY", "here");
    const refuse = (address: string): SwainError | undefined => (address === host ? refusal : undefined);
    await expect(sockets.connect("refuses.test", to, 2000, refuse)).rejects.toBe(refusal);
  });

  // Streams give up an address that is silent.
  if (kind === "handles")
    it("takes an address of a name that answers late when the others do not serve", async () => {
      const { port, resume } = await silentListener();
      named("late.test", [host, "127.0.0.2", "127.0.0.3"]);
      const late = sockets.connect("late.test", port, 4000);
      setTimeout(resume, 1500);
      const connection = await late;
      cleanups.push(() => connection.destroy());
      expect(connection.peer()).toEqual({ address: host, port });
    });
});

/** Has a name lead to these addresses, in this order, until the test is over. */
function named(name: string, addresses: readonly string[]): void {
  const { lookup } = dns;
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  const fake = (host: string, options: unknown, done: (...found: unknown[]) => void): void => {
    if (host !== name) return void Reflect.apply(lookup, dns, [host, options, done]);
    const tell = typeof options === "function" ? options : done;
    const wantsAll = (options as { all?: boolean }).all === true;
    queueMicrotask(() =>
      Reflect.apply(tell, null, wantsAll ? [null, found] : [null, found[0]?.address, found[0]?.family]),
    );
  };
  dns.lookup = fake as typeof lookup;
  syncBuiltinESMExports();
  cleanups.push(() => {
    dns.lookup = lookup;
    syncBuiltinESMExports();
  });
}
