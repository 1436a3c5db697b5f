// The simulated bus draws all its chance from its seed: a run can be had again, with everything that went wrong in it.
import { expect, it } from "vitest";
import { respond } from "../../services/bus/respond.ts";
import { Link } from "../simulation/bus/link.ts";
import { names, SimWorld } from "../support/sim-bus-world.ts";
import type { Client } from "../support/sim-bus-world.ts";

const pods = names.buckets.pods;
const subject = "swain.test.here";

/** A run with every kind of fault; tells all that arrived, and when. */
async function story(seed: number): Promise<string> {
  const world = await SimWorld.open({ synced: false }, seed);
  const told: unknown[] = [];
  const clients: Client[] = [];
  for (const name of ["a", "b", "c"]) {
    const client = await world.client(new Link([0.2, 5]), name);
    clients.push(client);
    const note = (what: string) => (more: unknown) => void told.push([world.time.mono(), name, what, more]);
    client.bus.subscribe("swain.test.>", (message) => {
      note("heard")([message.subject, message.reply, message.json()]);
      respond(client.bus, message, "_INBOX.", { by: name });
    });
    client.bus.onState(note("state"));
    client.bus.log(names.stream).follow(1, note("record"), note("broken"));
    client.bus.bucket(pods).watch(">", { onEntry: note("entry"), onLoaded: (keys) => note("loaded")([...keys]) });
    client.link.disturb({ lose: 0.05, double: 0.05, delay: 0.05, reorder: 0.05, gap: 0.02, delayMs: 300 });
    let at = 0;
    client.clock.every(700, () => {
      client.bus.publish(subject, { from: name });
      client.bus.request(`swain.test.ask.${name}`, {}, { timeoutMs: 900 }).then(
        (answer) => note("answer")(answer.json()),
        (error: { code: string }) => note("failed")(error.code),
      );
      world.append(client.bus, at, name).then(note("appended"), async () => {
        at = await client.bus
          .log(names.stream)
          .tail()
          .then(
            ({ last }) => last,
            () => at,
          );
      });
    });
  }
  const { server } = world;
  world.time.after(5000, () => server.kill());
  world.time.after(7000, () => server.start());
  world.time.after(12_000, () => server.freeze());
  world.time.after(15_000, () => server.thaw());
  world.time.after(20_000, () => server.leaderMove(4000));
  world.time.after(26_000, () => server.dropConsumers());
  world.time.after(30_000, () => void server.strayPut(pods, "d.x", "by hand"));
  world.time.after(33_000, () => clients[1]!.link.reset());
  world.time.after(36_000, () => {
    server.powerCut();
    server.start();
  });
  await world.time.pass(60_000);
  return JSON.stringify([told, server.counters], (_key, value: unknown) =>
    value instanceof Uint8Array ? [...value] : value,
  );
}

it("tells the same story for the same seed, byte for byte, and another for another", async () => {
  const first = await story(7);
  expect(first.length).toBeGreaterThan(10_000);
  expect(await story(7)).toBe(first);
  expect(await story(8)).not.toBe(first);
});
