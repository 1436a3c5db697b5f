// The thread that makes snapshots, as it is shipped: one job at a time, and none is left.
import { join } from "node:path";
import { expect, it } from "vitest";
import type { ThreadSnapshotter as Shipped } from "../../services/controller/thread/snapshotter.ts";
import { backend } from "../support/tcp.ts";

interface Built {
  readonly ThreadSnapshotter: typeof Shipped;
}

const built = join(import.meta.dirname, "../../dist/services/controller/thread/snapshotter.js");

it("ends the job of a term that is over when the next is asked for, and that when it closes", async () => {
  const { ThreadSnapshotter } = (await import(built)) as Built;
  // A server that never says a word holds each job up.
  const port = await backend(() => {});
  const place = { server: `nats://127.0.0.1:${port}`, creds: null, cluster: "test", id: "c1" };
  const snapshotter = new ThreadSnapshotter(place);
  const ends = { code: "SNAPSHOT_FAILED" };
  const first = expect(snapshotter.check()).rejects.toMatchObject(ends);
  const second = expect(snapshotter.check()).rejects.toMatchObject(ends);
  await first;
  await snapshotter.close();
  await second;
});
