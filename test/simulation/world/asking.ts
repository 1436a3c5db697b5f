// A single change asked from outside of the world's own operators, by the CLI's client.
import { Client } from "../../../cli/client.ts";
import { asSwainError } from "../../../services/kernel/errors.ts";
import { Link } from "../bus/link.ts";
import type { Wish } from "../wishes.ts";
import type { World } from "./world.ts";

/** Asks and lets time pass until it is answered. Gives the sequence, or the code of the refusal. */
export async function ask(world: World, wish: Wish): Promise<number | string> {
  const { clock, random, ids } = world.onlooker;
  const bus = await world.during(world.server.connect({ clock, random, name: "asks", link: new Link() }));
  const client = new Client({ bus, cluster: "default", clock, ids, random, signal: new AbortController().signal });
  const answer = client.change(wish.namespace, wish.resource, wish.verb, wish.body).then(
    ({ sequence }) => sequence,
    (error: unknown) => asSwainError(error).code,
  );
  const given = await world.during(answer);
  await world.during(bus.close());
  return given;
}
