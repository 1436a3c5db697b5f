import { describe, expect, it } from "vitest";
import { backendsOf, servicePortOf } from "../../services/proxy/backends.ts";
import { proxyLimits } from "../../services/proxy/limits.ts";
import { EndpointTable, partKeyOf } from "../../services/proxy/table.ts";
import { shardOf } from "../../services/core/endpoints.ts";

const head = (sequence: number, { logId = "log-a", shards = 1, service = "web" } = {}) => ({
  logId,
  sequence,
  namespace: "default",
  service,
  ports: [
    { name: "http", port: 8080, targetPort: "http" },
    { name: "admin", port: 9090, targetPort: 81 },
  ],
  shards,
});
const endpoint = (pod: string, host = "host-x") => ({
  pod: `default/${pod}`,
  node: "n1",
  host,
  addresses: [
    { name: "http", containerPort: 80, host: "10.0.0.1", hostPort: 30000, local: "172.17.0.2", localPort: 80 },
    { name: "adm", containerPort: 81, host: "10.0.0.1", hostPort: 30001 },
  ],
});
const shard = (sequence: number, pods: string[], logId = "log-a") => ({
  logId,
  sequence,
  endpoints: pods.map((pod) => endpoint(pod)),
});
const loadedTable = (entries: [string, unknown, number][]): EndpointTable => {
  const table = new EndpointTable();
  for (const [key, value, revision] of entries) table.put(key, value, revision, "watch");
  table.loaded(new Set(entries.map(([key]) => key)), 0);
  return table;
};
const web = (): EndpointTable =>
  loadedTable([
    ["default.web.head", head(5), 1],
    ["default.web.0", shard(6, ["web-1", "web-2"]), 2],
  ]);
const podsOf = (table: EndpointTable): string[] => {
  const parts = table.partsOf("default/web");
  return backendsOf(parts, servicePortOf(parts, undefined), "elsewhere").map(({ pod }) => pod);
};
/** A pod whose place among `count` shards is `index`. */
const podIn = (index: number, count: number): string => {
  for (let n = 1; ; n += 1) if (shardOf(`default/web-${n}`, count) === index) return `web-${n}`;
};

describe("keys of the endpoints bucket", () => {
  it("are read into service and part, and nothing else is taken for one", () => {
    expect(partKeyOf("default.web.head")).toEqual({ service: "default/web", part: "head" });
    expect(partKeyOf("default.web.12")).toEqual({ service: "default/web", part: "12" });
    for (const key of ["default.web", "default.web.x", "default.web.01", "default.web.0.1", "..head", ""]) {
      expect(partKeyOf(key)).toBeUndefined();
    }
  });
});

describe("the endpoint table", () => {
  it("knows nothing before the first full load, and everything after it", () => {
    const table = new EndpointTable();
    expect(table.put("default.web.head", head(5), 1, "watch")).toBe("foreign");
    expect(table.partsOf("default/web").size).toBe(0);
    expect([...table.loaded(new Set(["default.web.head"]), 0)]).toEqual(["default/web"]);
    expect(table.logId).toBe("log-a");
    expect(table.partsOf("default/web").size).toBe(1);
  });

  it.each(["watch", "hint"] as const)("takes a newer value and refuses an older one from a %s", (source) => {
    const table = web();
    expect(table.put("default.web.0", shard(9, ["web-3"]), 3, source)).toBe("applied");
    expect(table.put("default.web.0", shard(8, ["web-1"]), 4, source)).toBe(source === "hint" ? "older" : "behind");
    expect(podsOf(table)).toEqual(["default/web-3"]);
  });

  it("does not acknowledge a part while the bucket holds an older value, until the leader corrects it", () => {
    const table = web();
    expect(table.appliedOf("default/web")).toEqual({ head: 5, 0: 6 });
    table.put("default.web.0", shard(4, ["web-0"]), 3, "watch");
    expect(table.appliedOf("default/web")).toEqual({ head: 5, 0: 0 });
    table.put("default.web.0", shard(6, ["web-1"]), 4, "watch");
    expect(table.appliedOf("default/web")).toEqual({ head: 5, 0: 6 });
    table.loaded(new Set(["default.web.head", "default.web.0"]), 0);
    expect(podsOf(table)).toEqual(["default/web-1"]);
  });

  it.each([7, 1])(
    "takes an older value, at revision %i, once a full load tells it: the log lost its end",
    (revision) => {
      const table = web();
      expect(table.put("default.web.0", shard(4, ["web-0"]), revision, "watch")).toBe("behind");
      table.put("default.web.head", head(5), 1, "watch");
      expect([...table.loaded(new Set(["default.web.head", "default.web.0"]), 0)]).toEqual(["default/web"]);
      expect(podsOf(table)).toEqual(["default/web-0"]);
      expect(table.appliedOf("default/web")).toEqual({ head: 5, 0: 4 });
      // Revisions count on from there.
      expect(table.delete("default.web.0", revision + 1, "watch")).toBe("applied");
      expect(podsOf(table)).toEqual([]);
    },
  );

  it("takes neither the watch for behind, nor a full load, where a hint came first", () => {
    const table = web();
    table.put("default.web.0", shard(9, ["web-3"]), 4, "hint");
    expect(table.put("default.web.0", shard(8, ["web-2"]), 3, "watch")).toBe("older");
    expect(table.appliedOf("default/web")).toEqual({ head: 5, 0: 9 });
    table.put("default.web.0", shard(4, ["web-0"]), 3, "watch");
    table.loaded(new Set(["default.web.head", "default.web.0"]), 0);
    expect(podsOf(table)).toEqual(["default/web-3"]);
    table.delete("default.web.0", 6, "hint");
    expect(table.put("default.web.0", shard(8, ["web-2"]), 3, "watch")).toBe("older");
  });

  it.each([5, 1])("has a removed part again, at revision %i, where the log lost its removal", (revision) => {
    const table = web();
    table.put("default.web.0", shard(9, ["web-1"]), 3, "watch");
    table.delete("default.web.0", 4, "watch");
    expect(table.put("default.web.0", shard(6, ["web-1"]), revision, "watch")).toBe("behind");
    table.loaded(new Set(["default.web.head", "default.web.0"]), 0);
    expect(podsOf(table)).toEqual(["default/web-1"]);
  });

  it("has a removed part again that was the last of its key, where the log lost its removal", () => {
    const table = web();
    table.delete("default.web.0", 3, "watch");
    table.put("default.web.head", head(5), 1, "watch");
    expect(table.put("default.web.0", shard(6, ["web-1"]), 2, "watch")).toBe("behind");
    table.loaded(new Set(["default.web.head", "default.web.0"]), 0);
    expect(podsOf(table)).toEqual(["default/web-1"]);
  });

  it.each([
    ["a value", 2, (table: EndpointTable) => table.put("default.web.0", shard(9, ["web-9"]), 7, "hint")],
    ["a removal", 2, (table: EndpointTable) => table.delete("default.web.0", 7, "hint")],
    ["a service", 3, (table: EndpointTable) => table.put("default.new.head", head(9, { service: "new" }), 7, "hint")],
  ])("gives up %s that a hint alone told, once %i loads did not know it: it was lost", (_what, loads, hint) => {
    const table = web();
    expect(table.hasUnconfirmed).toBe(false);
    hint(table);
    let now = 0;
    const load = (): void => {
      now += proxyLimits.wentBackMs / 2;
      table.put("default.web.head", head(5), 1, "watch");
      table.put("default.web.0", shard(6, ["web-1", "web-2"]), 2, "watch");
      table.loaded(new Set(["default.web.head", "default.web.0"]), now);
    };
    for (let count = 1; count < loads; count += 1) {
      load();
      expect(table.hasUnconfirmed).toBe(true);
    }
    load();
    expect(table.hasUnconfirmed).toBe(false);
    expect([...table.services()]).toEqual(["default/web"]);
    expect(podsOf(table)).toEqual(["default/web-1", "default/web-2"]);
  });

  it("takes a value told twice, by hint and by watch, once", () => {
    const table = web();
    expect(table.put("default.web.0", shard(9, ["web-3"]), 3, "hint")).toBe("applied");
    expect(table.put("default.web.0", shard(9, ["web-3"]), 3, "watch")).toBe("older");
    expect(table.put("default.web.0", shard(9, ["web-3"]), 3, "hint")).toBe("older");
  });

  it("takes the leader's correction of an edited value, which has the same sequence and a later revision", () => {
    const table = web();
    expect(table.put("default.web.0", shard(6, ["evil"]), 3, "hint")).toBe("applied");
    expect(table.put("default.web.0", shard(6, ["web-1"]), 4, "hint")).toBe("applied");
    expect(podsOf(table)).toEqual(["default/web-1"]);
  });

  it("leaves out what does not fit the schema and keeps the value before it", () => {
    const table = web();
    for (const value of [undefined, null, "x", {}, { ...shard(9, []), endpoints: [{}] }]) {
      expect(table.put("default.web.0", value, 9, "watch")).toBe("malformed");
    }
    expect(podsOf(table)).toHaveLength(2);
  });

  it("never takes a value of another log outside a full load", () => {
    const table = web();
    expect(table.put("default.web.0", shard(900, [], "log-b"), 3, "hint")).toBe("foreign");
    expect(table.put("default.web.0", shard(900, [], "log-b"), 3, "watch")).toBe("foreign");
    expect(podsOf(table)).toHaveLength(2);
  });

  it("follows the other log after a full load in which most keys belong to it, whatever the sequences", () => {
    const table = web();
    table.put("default.web.head", head(2, { logId: "log-b" }), 11, "watch");
    table.put("default.web.0", shard(3, ["web-9"], "log-b"), 12, "watch");
    expect([...table.loaded(new Set(["default.web.head", "default.web.0"]), 0)]).toEqual(["default/web"]);
    expect(table.logId).toBe("log-b");
    expect(podsOf(table)).toEqual(["default/web-9"]);
    expect(table.put("default.web.0", shard(7, ["web-1"], "log-a"), 13, "hint")).toBe("foreign");
    expect(table.put("default.web.0", shard(4, ["web-8"], "log-b"), 14, "hint")).toBe("applied");
  });

  it("keeps its log when a full load holds one foreign value among its own", () => {
    const table = loadedTable([
      ["default.web.head", head(5), 1],
      ["default.web.0", shard(6, ["web-1"]), 2],
      ["default.api.head", head(7, { service: "api" }), 3],
    ]);
    table.put("default.web.0", shard(99, [], "log-b"), 9, "watch");
    table.loaded(new Set(["default.web.head", "default.web.0", "default.api.head"]), 0);
    expect(table.logId).toBe("log-a");
    expect(podsOf(table)).toEqual(["default/web-1"]);
  });

  it("removes a deleted key, and a late message does not bring it back", () => {
    const table = web();
    expect(table.delete("default.web.0", 3, "hint")).toBe("applied");
    expect(podsOf(table)).toEqual([]);
    expect(table.put("default.web.0", shard(6, ["web-1"]), 2, "watch")).toBe("older");
    table.loaded(new Set(["default.web.head"]), 0);
    expect(podsOf(table)).toEqual([]);
    expect(table.put("default.web.0", shard(12, ["web-7"]), 4, "watch")).toBe("applied");
    expect(podsOf(table)).toEqual(["default/web-7"]);
  });

  it("ignores the deletion of a value that was written again since", () => {
    const table = web();
    table.put("default.web.0", shard(9, ["web-3"]), 7, "hint");
    expect(table.delete("default.web.0", 5, "watch")).toBe("older");
    expect(podsOf(table)).toEqual(["default/web-3"]);
  });

  it("lets a service go whose keys are not in a full load that holds others of the same log", () => {
    const table = web();
    table.put("default.api.head", head(9, { service: "api" }), 9, "watch");
    expect([...table.loaded(new Set(["default.api.head"]), 0)]).toEqual(["default/web"]);
    expect([...table.services()]).toEqual(["default/api"]);
  });

  it("keeps everything when a full load is empty: a lost bucket looks the same", () => {
    const table = web();
    expect(table.loaded(new Set(), 0).size).toBe(0);
    expect(podsOf(table)).toHaveLength(2);
  });

  it("removes the last service when it was told as deleted, though nothing else is in the load", () => {
    // The second as in a bucket that was made anew, whose revisions begin again.
    for (const revision of [10, 1]) {
      const table = web();
      table.delete("default.web.head", revision, "watch");
      table.delete("default.web.0", revision, "watch");
      table.loaded(new Set(), 0);
      expect([...table.services()]).toEqual([]);
    }
  });

  describe("of a bucket that went back", () => {
    const api = ["default.api.head", head(5, { service: "api" }), 1] as const;
    const both = ["default/api", "default/web"];
    const { wentBackMs } = proxyLimits;
    /** What the bucket tells, and then that this is all; gives the services after that. */
    const load = (
      table: EndpointTable,
      now: number,
      entries: readonly (readonly [string, unknown, number])[],
    ): string[] => {
      for (const [key, value, revision] of entries) table.put(key, value, revision, "watch");
      table.loaded(new Set(entries.map(([key]) => key)), now);
      return [...table.services()].toSorted();
    };

    it("are kept for a while, however often it is loaded, where all it tells is below them", () => {
      const table = new EndpointTable();
      const web = ["default.web.head", head(6), 2] as const;
      load(table, 0, [api, web]);
      for (const now of [10, 20, 30, 40, wentBackMs]) {
        expect([load(table, now, [api]), table.hasUnconfirmed]).toEqual([both, true]);
      }
      expect([load(table, wentBackMs + 10, [api, web]), table.hasUnconfirmed]).toEqual([both, false]);
      // Counted anew.
      expect(load(table, 3 * wentBackMs, [api])).toEqual(both);
      expect([load(table, 4 * wentBackMs, [api]), table.hasUnconfirmed]).toEqual([["default/api"], false]);
    });

    it("are kept while a leader writes others anew at the revisions that they had", () => {
      const table = new EndpointTable();
      const db = ["default.db.head", head(4, { service: "db" })] as const;
      load(table, 0, [
        [...db, 1],
        ["default.api.head", api[1], 2],
        ["default.web.head", head(6), 3],
      ]);
      const all = ["default/api", "default/db", "default/web"];
      // Web has api's revision.
      expect(
        load(table, 0, [
          [...db, 1],
          ["default.web.head", head(6), 2],
        ]),
      ).toEqual(all);
      expect(
        load(table, wentBackMs - 1, [
          [...db, 1],
          ["default.web.head", head(6), 2],
        ]),
      ).toEqual(all);
      expect(
        load(table, wentBackMs, [
          [...db, 1],
          ["default.web.head", head(6), 2],
        ]),
      ).toEqual(["default/db", "default/web"]);
    });

    it("are kept while a leader writes what is new, before what was lost, at the revisions that it had", () => {
      const table = new EndpointTable();
      load(table, 0, [api, ["default.web.head", head(6), 2], ["default.web.0", shard(6, ["web-1"]), 3]]);
      const anew = [
        ["default.api.head", head(8, { service: "api" }), 2],
        ["default.db.head", head(9, { service: "db" }), 3],
      ] as const;
      expect(load(table, 0, anew)).toEqual(["default/api", "default/db", "default/web"]);
      expect([load(table, wentBackMs, anew), table.hasUnconfirmed]).toEqual([["default/api", "default/db"], false]);
    });

    it("are kept also where it shows only by a value told between two loads", () => {
      const table = new EndpointTable();
      load(table, 0, [api, ["default.web.head", head(6), 2], ["default.db.head", head(7, { service: "db" }), 3]]);
      table.put("default.db.head", head(7, { service: "db" }), 2, "watch");
      expect(load(table, 0, [api, ["default.db.head", head(7, { service: "db" }), 2]])).toHaveLength(3);
    });

    it("are let go at once where it did not: what it tells is later", () => {
      const table = new EndpointTable();
      load(table, 0, [api, ["default.web.head", head(6), 4]]);
      expect([load(table, 0, [[api[0], api[1], 5]]), table.hasUnconfirmed]).toEqual([["default/api"], false]);
      // As after a hint that came before what the watch had to tell.
      const late = new EndpointTable();
      load(late, 0, [api, ["default.web.head", head(6), 2]]);
      late.put("default.api.head", head(8, { service: "api" }), 5, "hint");
      late.put("default.api.head", head(7, { service: "api" }), 4, "watch");
      expect(load(late, 0, [["default.api.head", head(8, { service: "api" }), 5]])).toEqual(["default/api"]);
    });
  });

  it("keeps a service that a hint told after the load was taken", () => {
    const table = web();
    table.put("default.new.head", head(20, { service: "new" }), 30, "hint");
    table.put("default.web.head", head(5), 1, "watch");
    table.loaded(new Set(["default.web.head", "default.web.0"]), 0);
    expect([...table.services()]).toEqual(["default/web", "default/new"]);
  });

  it("gives back after a restart what it saved", () => {
    const table = web();
    const again = new EndpointTable();
    again.restore(JSON.parse(JSON.stringify(table.save())));
    expect(again.logId).toBe("log-a");
    expect(podsOf(again)).toEqual(podsOf(table));
    expect(again.put("default.web.0", shard(5, []), 9, "hint")).toBe("older");
  });
});

describe("shards", () => {
  it("beyond the count of the head are not used, and come back with the count", () => {
    const [first, second] = [podIn(0, 2), podIn(1, 2)];
    const table = loadedTable([
      ["default.web.head", head(5, { shards: 2 }), 1],
      ["default.web.0", shard(5, [first]), 2],
      ["default.web.1", shard(5, [second]), 3],
    ]);
    expect(podsOf(table)).toEqual([`default/${first}`, `default/${second}`]);
    table.put("default.web.head", head(7, { shards: 1 }), 4, "watch");
    expect(podsOf(table)).toEqual([`default/${first}`]);
    table.put("default.web.head", head(8, { shards: 2 }), 5, "watch");
    expect(podsOf(table)).toHaveLength(2);
  });

  it("that grow in number lose no pod on the way and tell none twice", () => {
    const [stays, moves] = [podIn(0, 2), podIn(1, 2)];
    const table = loadedTable([
      ["default.web.head", head(5), 1],
      ["default.web.0", shard(5, [stays, moves]), 2],
    ]);
    const both = [`default/${stays}`, `default/${moves}`];
    expect(podsOf(table)).toEqual(both);
    table.put("default.web.head", head(9, { shards: 2 }), 3, "watch");
    expect(podsOf(table)).toEqual(both);
    table.put("default.web.1", shard(9, [moves]), 4, "watch");
    expect(podsOf(table)).toEqual(both);
    table.put("default.web.0", shard(9, [stays]), 5, "watch");
    expect(podsOf(table)).toEqual(both);
  });

  it("decide for their own pods once newer: a pod that left is not used because an old shard still names it", () => {
    const moves = podIn(1, 2);
    const table = loadedTable([
      ["default.web.head", head(9, { shards: 2 }), 1],
      ["default.web.0", shard(5, [moves]), 2],
    ]);
    expect(podsOf(table)).toEqual([`default/${moves}`]);
    table.put("default.web.1", shard(10, []), 3, "watch");
    expect(podsOf(table)).toEqual([]);
  });
});

describe("addresses", () => {
  const parts = () => web().partsOf("default/web");

  it("are the local ones on the same host and the published ones elsewhere", () => {
    const port = servicePortOf(parts(), "http");
    expect(backendsOf(parts(), port, "host-x")[0]).toEqual({ pod: "default/web-1", host: "172.17.0.2", port: 80 });
    expect(backendsOf(parts(), port, "host-y")[0]).toEqual({ pod: "default/web-1", host: "10.0.0.1", port: 30000 });
  });

  it("are the published ones on the same host too where there is no local one", () => {
    expect(backendsOf(parts(), servicePortOf(parts(), 9090), "host-x")[0]).toMatchObject({
      host: "10.0.0.1",
      port: 30001,
    });
  });

  it("are found by the name or number of the service's port, the first one by default", () => {
    expect(servicePortOf(parts(), undefined)?.port).toBe(8080);
    expect(servicePortOf(parts(), "admin")?.port).toBe(9090);
    expect(servicePortOf(parts(), 9090)?.name).toBe("admin");
    expect(servicePortOf(parts(), "nope")).toBeUndefined();
    expect(backendsOf(parts(), undefined, "host-x")).toEqual([]);
  });
});
