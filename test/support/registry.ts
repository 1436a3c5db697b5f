// A tiny image registry on loopback, with one real image and chosen faults, so that pulls are tested without a network.
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

export interface TestRegistry {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** Requests for manifests so far. */
  manifests(): number;
  /** Until `release` is called layers are sent to nobody. */
  hold(): void;
  release(): void;
  close(): Promise<void>;
}

const digest = (data: Buffer): string => `sha256:${createHash("sha256").update(data).digest("hex")}`;

/** Serves `good:1`; `torn:1` whose layer is missing; `denied:1` (401), `forbidden:1` (403); nothing else (404). */
export async function startRegistry(port = 0, layerBytes = 200_000): Promise<TestRegistry> {
  const tar = layer(layerBytes);
  const zipped = gzipSync(tar);
  const config = Buffer.from(
    JSON.stringify({
      architecture: "amd64",
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: [digest(tar)] },
    }),
  );
  const blobs = new Map([zipped, config].map((data) => [digest(data), data]));
  const type = "application/vnd.docker.distribution.manifest.v2+json";
  const manifestOf = (layerDigest: string): Buffer =>
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: type,
        config: {
          mediaType: "application/vnd.docker.container.image.v1+json",
          size: config.length,
          digest: digest(config),
        },
        layers: [
          { mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip", size: zipped.length, digest: layerDigest },
        ],
      }),
    );
  const images: Record<string, Buffer> = {
    good: manifestOf(digest(zipped)),
    torn: manifestOf(digest(Buffer.from("nowhere"))),
  };
  let manifests = 0;
  let held: (() => void)[] | undefined;
  const send = (answer: ServerResponse, status: number, body: Buffer | string, kind = "application/json"): void => {
    const data = Buffer.from(body);
    answer.writeHead(status, {
      "content-type": kind,
      "content-length": data.length,
      "docker-content-digest": digest(data),
    });
    answer.end(data);
  };
  const refuse = (answer: ServerResponse, status: number, code: string): void =>
    send(answer, status, JSON.stringify({ errors: [{ code, message: "as the test asked" }] }));
  const server = createServer((request, answer) => {
    const [, , name = "", kind, reference = ""] = (request.url ?? "").split("/");
    if (name === "") send(answer, 200, "{}");
    else if (name === "denied") refuse(answer, 401, "UNAUTHORIZED");
    else if (name === "forbidden") refuse(answer, 403, "DENIED");
    else if (kind === "manifests") {
      manifests += 1;
      const found = images[name];
      if (found) send(answer, 200, found, type);
      else refuse(answer, 404, "MANIFEST_UNKNOWN");
    } else {
      const data = blobs.get(reference);
      const reply = (): void =>
        data ? send(answer, 200, data, "application/octet-stream") : refuse(answer, 404, "BLOB_UNKNOWN");
      if (held && reference === digest(zipped)) held.push(reply);
      else reply();
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(port, "127.0.0.1", resolve);
  });
  const release = (): void => {
    for (const reply of held ?? []) reply();
    held = undefined;
  };
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    manifests: () => manifests,
    hold: () => {
      held ??= [];
    },
    release,
    close: () => {
      release();
      server.closeAllConnections();
      return new Promise((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

/** A layer nobody else has, so that the engine must always fetch it. */
function layer(bytes: number): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "swain-layer-"));
  try {
    writeFileSync(join(folder, "file"), randomBytes(bytes));
    return execFileSync("tar", ["-c", "-C", folder, "file"], { maxBuffer: 2 * bytes + 100_000 });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
