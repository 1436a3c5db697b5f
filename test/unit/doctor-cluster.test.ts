// What `swain doctor` makes of what the leader says of itself.
import { expect, it } from "vitest";
import { saidByLeader } from "../../cli/doctor/cluster.ts";

const well = { keys: 3, ms: 40 };

it.each([
  ["one that hears its server", { projectionLag: well, deafMs: 0 }, []],
  ["one of an earlier version", { projectionLag: well }, []],
  ["one whose server stood still for a moment", { projectionLag: well, deafMs: 4000 }, []],
  ["one that its server answers too late", { projectionLag: well, deafMs: 7000 }, ["SERVER_SLOW"]],
  ["one that cannot write the buckets", { projectionLag: { keys: 3, ms: 11_000 }, deafMs: 0 }, ["PROJECTIONS_LATE"]],
])("%s", (_, status, codes) => {
  expect(saidByLeader(status).flatMap(({ code }) => code ?? [])).toEqual(codes);
});
