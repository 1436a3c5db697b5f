// Packing by gzip: what people can read with the tools they have.
import { createHash } from "node:crypto";
import { constants, gunzipSync, gzipSync } from "node:zlib";
import type { Packing } from "../packing.ts";

export const systemPacking: Packing = {
  // Snapshots are full of repetition: more effort makes them little smaller and costs a second per 50 MB.
  pack: (data) => gzipSync(data, { level: constants.Z_BEST_SPEED }),
  unpack: (data, most) => gunzipSync(data, { maxOutputLength: most }),
  sha256: (data) => createHash("sha256").update(data).digest("hex"),
};
