// A service that was deleted and made again: what was said of the first one says nothing of the second.
import { describe, expect, it } from "vitest";
import { EndpointTable } from "../../services/proxy/table.ts";

const head = (service: string, sequence: number) => ({
  logId: "log-a",
  sequence,
  namespace: "default",
  service,
  ports: [{ name: "http", port: 8080, targetPort: "http" }],
  shards: 1,
});
const [api, web] = ["default.api.head", "default.web.head"];

describe.each([
  ["the watch", ["delete", "put"], "watch"],
  ["a hint before the watch", ["put", "delete"], "hint"],
] as const)("a service that was deleted and made again, as told by %s", (_by, order, source) => {
  const table = (): EndpointTable => {
    const known = new EndpointTable();
    known.put(api, head("api", 5), 1, "watch");
    known.put(web, head("web", 6), 2, "watch");
    known.loaded(new Set([api, web]), 0);
    const tell = {
      delete: () => known.delete(web, 3, "watch"),
      put: () => known.put(web, head("web", 9), 4, source),
    };
    for (const step of order) tell[step]();
    known.put(web, head("web", 9), 4, "watch");
    return known;
  };

  it("is kept where its bucket is empty: it was lost, or is made again", () => {
    const known = table();
    known.loaded(new Set(), 0);
    expect([...known.services()]).toEqual(["default/api", "default/web"]);
  });

  it("is kept for a while where its bucket lost its end", () => {
    const known = table();
    known.put(api, head("api", 5), 1, "watch");
    known.loaded(new Set([api]), 0);
    expect([...known.services()]).toEqual(["default/api", "default/web"]);
  });

  it("is gone once it is deleted again", () => {
    const known = table();
    known.delete(web, 5, "watch");
    known.loaded(new Set(), 0);
    expect([...known.services()]).toEqual(["default/api"]);
  });
});

describe("a service that was deleted", () => {
  it("is not brought back by a hint that comes after a full load without it, and is by one that is later", () => {
    const known = new EndpointTable();
    known.put(api, head("api", 5), 1, "watch");
    known.put(web, head("web", 6), 2, "watch");
    known.loaded(new Set([api, web]), 0);
    known.put(api, head("api", 8), 4, "watch");
    known.loaded(new Set([api]), 0);
    expect(known.put(web, head("web", 6), 2, "hint")).toBe("older");
    expect([...known.services()]).toEqual(["default/api"]);
    expect(known.put(web, head("web", 9), 5, "hint")).toBe("applied");
  });
});
