// The templates of a workload, which may be as large as ten applies together.
import { expect, it } from "vitest";
import { history } from "../../services/controller/api/history.ts";
import type { ApiHost } from "../../services/controller/api/request.ts";
import { TestCluster, workloadManifest } from "../support/core.ts";

it("comes in pages that a message takes, each template once", async () => {
  const cluster = new TestCluster();
  for (let image = 1; image <= 10; image++) {
    const env = [{ name: "A", value: String(image % 10).repeat(150_000) }];
    cluster.apply(workloadManifest("web", { containers: [{ name: "main", image: `app:${image}`, env }] }));
  }
  const host = { state: cluster.state, reached: async () => {} } as unknown as ApiHost;
  const images: unknown[] = [];
  let after: string | undefined;
  do {
    const body = { name: "web", ...(after === undefined ? {} : { after }) };
    const reply = (await history(host, { namespace: "default", body })) as { items: never[]; next?: string };
    expect(JSON.stringify(reply).length).toBeLessThan(512 * 1024);
    images.push(...reply.items.map(({ spec: { containers } }: never) => (containers as { image: string }[])[0]?.image));
    after = reply.next;
  } while (after !== undefined);
  expect(images).toEqual(Array.from({ length: 10 }, (_, index) => `app:${index + 1}`));
});
