// Someone who follows the feed with the code of `swain events -f`, over a connection that breaks now and then.
import { Client } from "../../../cli/client.ts";
import { followEvents } from "../../../cli/events.ts";
import type { Feeds } from "../feed.ts";
import type { Troubles } from "../troubles.ts";
import type { Machine } from "./machine.ts";
import { Process } from "./process.ts";
import type { Run, Surroundings } from "./process.ts";

/** Least and most time between two breaks, and that each lasts. */
const everyMs = [120_000, 900_000] as const;
const goneMs = [500, 12_000] as const;

export class WatcherProcess extends Process {
  private readonly machine: Machine;
  private readonly feeds: Feeds;
  private readonly troubles: Troubles;

  constructor(surroundings: Surroundings, machine: Machine, feeds: Feeds, troubles: Troubles) {
    super(surroundings, machine.name);
    this.machine = machine;
    this.feeds = feeds;
    this.troubles = troubles;
  }

  protected async main(run: Run): Promise<void> {
    const { cluster, chance } = this.surroundings;
    const { clock, ids, random } = run;
    const bus = await run.connect(`watcher ${this.name}`, this.machine.link());
    const client = new Client({ bus, cluster, clock, ids, random, signal: new AbortController().signal });
    void this.breaks(run, chance.stream(`breaks of ${this.name}`));
    await followEvents(
      client,
      { scope: "_", name: undefined, last: 0 },
      {
        onEvents: (events) => events.forEach((event) => this.feeds.onShown(event)),
        onGap: () => this.feeds.onGap(),
        onCut: () => this.feeds.onGap(),
      },
    );
  }

  protected async quit(): Promise<void> {}

  private async breaks(run: Run, luck: Surroundings["chance"]): Promise<void> {
    for (;;) {
      await run.hop(luck.between(...everyMs));
      const over = this.troubles.begin(this.name, "cut");
      this.machine.pass({ up: false, down: false });
      for (const link of this.machine.links) link.reset();
      await run.hop(luck.between(...goneMs));
      this.machine.pass({ up: true, down: true });
      over();
    }
  }
}
