// Candidates of one template in the order in which its pods go to them: a binary heap. Placing a pod changes the score of
// one node alone, so the next pod of the same template costs the logarithm of the fleet instead of the fleet.
// Used by `place` for runs of pods of one template; whoever takes room otherwise must begin a new one.
import type { Candidate } from "./room.ts";
import { better, type Score } from "./scorers.ts";

interface Ranked {
  readonly candidate: Candidate;
  readonly score: Score;
}

export class Ranking {
  private readonly heap: Ranked[] = [];
  private readonly score: (candidate: Candidate) => Score;
  private readonly fits: (candidate: Candidate) => boolean;

  /** Candidates that do not fit now are left out: within one plan room only shrinks. */
  constructor(
    candidates: readonly Candidate[],
    fits: (candidate: Candidate) => boolean,
    score: (candidate: Candidate) => Score,
  ) {
    this.fits = fits;
    this.score = score;
    for (const candidate of candidates) if (fits(candidate)) this.heap.push({ candidate, score: score(candidate) });
    for (let index = (this.heap.length >> 1) - 1; index >= 0; index--) this.sink(index);
  }

  /** The best candidate, or null when none fits. It keeps its place until `changed` says what became of it. */
  best(): Candidate | null {
    for (;;) {
      const [top] = this.heap;
      if (top === undefined) return null;
      // What a neighbour took (fixed ports of one machine) may have made it unfit.
      if (this.fits(top.candidate)) return top.candidate;
      this.drop();
    }
  }

  /** The best one was given a pod: its score is another now. */
  changed(): void {
    const [top] = this.heap;
    if (top === undefined) return;
    this.heap[0] = { candidate: top.candidate, score: this.score(top.candidate) };
    this.sink(0);
  }

  private drop(): void {
    const last = this.heap.pop();
    if (last === undefined || this.heap.length === 0) return;
    this.heap[0] = last;
    this.sink(0);
  }

  private sink(start: number): void {
    const { heap } = this;
    let index = start;
    for (;;) {
      let first = index;
      for (const child of [2 * index + 1, 2 * index + 2]) {
        const [a, b] = [heap[child], heap[first]];
        if (a !== undefined && b !== undefined && before(a, b)) first = child;
      }
      const [here, there] = [heap[index], heap[first]];
      if (first === index || here === undefined || there === undefined) return;
      heap[index] = there;
      heap[first] = here;
      index = first;
    }
  }
}

/** Equal scores go to the smaller node id. */
const before = (a: Ranked, b: Ranked): boolean =>
  better(a.score, b.score) || (!better(b.score, a.score) && a.candidate.node.id < b.candidate.node.id);
