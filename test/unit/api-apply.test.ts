// The answer to a dry run, as the API gives it.
import { expect, it } from "vitest";
import { apply } from "../../services/controller/api/changes.ts";
import type { ApiHost } from "../../services/controller/api/request.ts";
import { emptyState } from "../../services/core/fold/fold.ts";
import { workloadManifest } from "../support/core.ts";

const host = { state: emptyState() } as unknown as ApiHost;
const dryRun = (count: number): Promise<unknown> => {
  const documents = Array.from({ length: count }, (_, index) => workloadManifest(`w${index}`));
  const body = { operation: "dry-run-1", documents, dryRun: true };
  return apply(host, { namespace: undefined, body });
};

it("a dry run refuses what is too large for one event with its defaults, as an apply does", async () => {
  await expect(dryRun(500)).resolves.toMatchObject({ sequence: 0 });
  await expect(dryRun(900)).rejects.toMatchObject({ code: "APPLY_TOO_LARGE" });
});
