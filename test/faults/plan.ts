// What is chance in the run of a fault: all of it is drawn from the run's seed, so that the same seed chooses the same again.
// Pure. Each kind of choice has a stream of its own: how many requests were made does not change which node is cut off.
import { Chance } from "../simulation/chance.ts";

/** The fault begins this long after the changes do, in milliseconds: in the middle of them, at another moment each time. */
const onset = { least: 1000, most: 2000 };
/** Between two requests of one client, in milliseconds. */
const requests = { least: 10, most: 30 };
/** A pause between two changes is this part of the usual one. */
const share = { least: 0.6, most: 1.4 };

/** One change of so many is a deploy. */
const deployEach = 3;

interface Change {
  readonly replicas: number;
  /** It changes the template instead. */
  readonly isDeploy: boolean;
  readonly pauseMs: number;
}

export class Plan {
  readonly seed: string;
  readonly onsetMs: number;
  private readonly chance: Chance;
  private readonly fate: Chance;

  constructor(seed: string) {
    this.seed = seed;
    this.chance = new Chance(seed);
    this.fate = this.chance.stream("victims");
    this.onsetMs = this.chance.stream("onset").whole(onset.least, onset.most);
  }

  /** Numbers of replicas without end, each one of `counts` and another than the one before, or deploys, and how long to wait after it. */
  *changes(counts: readonly number[], everyMs: number): Generator<Change, never> {
    const chance = this.chance.stream("changes");
    for (let last: number | undefined; ;) {
      const isDeploy = chance.whole(1, deployEach) === 1;
      const replicas = chance.pick(counts.filter((count) => count !== last));
      yield { replicas, isDeploy, pauseMs: Math.round(everyMs * chance.between(share.least, share.most)) };
      if (isDeploy) continue;
      last = replicas;
    }
  }

  /** How long this client waits between its requests, without end. */
  *requestPauses(client: string): Generator<number, never> {
    const chance = this.chance.stream(`requests of ${client}`);
    for (;;) yield chance.whole(requests.least, requests.most);
  }

  /** Whom the fault hits. In whatever order they are named, the same are chosen. Throws when there are too few. */
  victims(names: readonly string[], count: number): string[] {
    const left = names.toSorted();
    return Array.from({ length: count }, () => {
      const victim = this.fate.pick(left);
      left.splice(left.indexOf(victim), 1);
      return victim;
    });
  }

  /** For what one run alone leaves to chance. */
  stream(name: string): Chance {
    return this.chance.stream(name);
  }
}
