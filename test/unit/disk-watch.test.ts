import { expect, it } from "vitest";
import { judgeDisk } from "../../cli/local/disk-watch.ts";

const MiB = 1024 ** 2;

it("warns once when a disk is full, and has the server started anew once when there is room", () => {
  expect(judgeDisk("fine", 500 * MiB)).toEqual({ state: "fine" });
  expect(judgeDisk("fine", 1 * MiB)).toEqual({ state: "was full", act: "warn" });
  expect(judgeDisk("was full", 0)).toEqual({ state: "was full" });
  // A little room would be used up by the first write.
  expect(judgeDisk("was full", 100 * MiB)).toEqual({ state: "was full" });
  expect(judgeDisk("was full", 200 * MiB)).toEqual({ state: "fine", act: "restart" });
});
