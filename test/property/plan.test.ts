// A leader plans with attention to what changed alone, and looks again when the plan says so. Whatever happens, it finds what a
// leader would find that looks at everything: nothing is left that no event, timer or word of a node would bring up.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { EventItem } from "../../schemas/generated/types.ts";
import { foldRecord } from "../../services/core/fold/fold.ts";
import type { Key, ReadState } from "../../services/core/model.ts";
import { plan } from "../../services/core/plan/plan.ts";
import { Decoder } from "../../services/core/snapshot/decode.ts";
import { encodeState } from "../../services/core/snapshot/encode.ts";
import { TestCluster } from "../support/core.ts";
import { nodes, run, scripts } from "../support/scripts.ts";

/** What a leader knows that reads a snapshot. */
function readBack(state: ReadState): ReadState {
  const decoder = new Decoder();
  for (const line of encodeState(state)) decoder.line(line);
  return decoder.end();
}

/** Plans as `services/controller/term/planner.ts` does. */
class Attentive extends TestCluster {
  private attention: Set<Key> | "all" = "all";
  plans = 0;

  static start(): Attentive {
    return new Attentive(Object.fromEntries(nodes.map((id) => [id, {}])));
  }

  override elect(name: string): void {
    super.elect(name);
    this.attention = "all";
  }

  override record(event: unknown): string {
    const entry = { sequence: this.state.sequence + 1, event: structuredClone(event) };
    this.log.push(entry);
    const { outcome, touched } = foldRecord(this.state, entry);
    // While the cluster is made there is no planner yet.
    if (this.attention instanceof Set) for (const key of touched.workloads) this.attention.add(key);
    return outcome;
  }

  override settle(): EventItem[] {
    const written: EventItem[] = [];
    for (let round = 0; round < 200; round++) {
      const view = this.view();
      const next = plan(this.state, view, this.attention);
      this.plans += 1;
      if (this.plans % 20 === 0) {
        expect(plan(readBack(this.state), view, "all"), "from a snapshot").toEqual(plan(this.state, view, "all"));
      }
      if (next.items.length === 0) {
        const all = plan(this.state, view, "all");
        expect(all.items, "what attention did not reach").toEqual([]);
        expect(next.wakeInMs ?? Infinity, "when to look again").toBeLessThanOrEqual(all.wakeInMs ?? Infinity);
        this.rest();
        return written;
      }
      this.write(next.cause, [...next.items]);
      written.push(...next.items);
    }
    throw new Error("the plan never comes to rest");
  }

  private rest(): void {
    const keys = this.attention === "all" ? this.state.workloads.keys() : this.attention;
    const isChanging = (key: Key): boolean => (this.state.workloads.get(key)?.templates.size ?? 0) > 1;
    this.attention = new Set([...keys].filter(isChanging));
  }
}

describe("a leader that looks at what changed alone", () => {
  it("misses nothing that one would find that looks at everything, or that reads a snapshot", () => {
    fc.assert(
      fc.property(scripts, (script) => {
        const cluster = Attentive.start();
        for (const step of script) run(cluster, step);
      }),
      { numRuns: 200 },
    );
  });
});
