import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ensureCertificates } from "../../services/bus/embedded/certificates.ts";
import type { Certificates } from "../../services/bus/embedded/certificates.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { systemDisk } from "../../services/kernel/node/disk.ts";

const day = 86_400_000;
const now = Date.now();
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "swain-tls-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const ensure = (hosts: string[], at = now): Promise<Certificates> =>
  ensureCertificates(systemDisk, folder, { cluster: "c", hosts, now: at });

const read = async (path: string): Promise<X509Certificate> => new X509Certificate((await systemDisk.read(path)) ?? "");

test("the authority signs a server certificate for the hosts and loopback, files private", async () => {
  const { paths, ca, renewed } = await ensure(["10.0.0.5", "swain.example"]);
  expect(renewed).toBe(true);
  const [authority, server] = [new X509Certificate(ca), await read(paths.certificate)];
  expect(authority.ca).toBe(true);
  expect(authority.verify(authority.publicKey)).toBe(true);
  expect(server.ca).toBe(false);
  expect(server.verify(authority.publicKey)).toBe(true);
  expect(server.checkIssued(authority)).toBe(true);
  for (const ip of ["10.0.0.5", "127.0.0.1", "::1"]) expect(server.checkIP(ip), ip).toBeDefined();
  expect(server.checkHost("swain.example")).toBeDefined();
  expect(server.checkIP("10.0.0.6")).toBeUndefined();
  for (const file of await readdir(folder)) expect((await stat(join(folder, file))).mode & 0o777, file).toBe(0o600);
});

test("both are kept while they are good", async () => {
  const first = await ensure(["10.0.0.5"]);
  const certificate = await systemDisk.read(first.paths.certificate);
  const second = await ensure(["10.0.0.5"], now + 270 * day);
  expect(second).toEqual({ ...first, renewed: false });
  expect(await systemDisk.read(first.paths.certificate)).toBe(certificate);
});

test("the server's is made anew by the same authority for another host, near its end, and when damaged", async () => {
  const first = await ensure(["10.0.0.5"]);
  const same = { ca: first.ca, renewed: true };
  expect(await ensure(["10.0.0.6"])).toMatchObject(same);
  expect((await read(first.paths.certificate)).checkIP("10.0.0.6")).toBeDefined();
  expect(await ensure(["10.0.0.6"], now + 280 * day)).toMatchObject(same);
  expect(new Date((await read(first.paths.certificate)).validTo).getTime()).toBeGreaterThan(now + 600 * day);
  await writeFile(first.paths.certificate, "nothing");
  expect(await ensure(["10.0.0.6"])).toMatchObject(same);
  await rm(first.paths.key);
  expect(await ensure(["10.0.0.6"])).toMatchObject(same);
});

test("one near its end keeps its key, so that a disk that takes nothing more leaves a pair that fits", async () => {
  const { paths } = await ensure(["10.0.0.5"]);
  const key = await systemDisk.read(paths.key);
  const old = await read(paths.certificate);
  const full = { ...systemDisk, writeAtomic: () => Promise.reject(new SwainError("DISK_ERROR", "no room")) };
  const later = { cluster: "c", hosts: ["10.0.0.5"], now: now + 280 * day };
  await expect(ensureCertificates(full, folder, later)).rejects.toMatchObject({ code: "DISK_ERROR" });
  expect((await read(paths.certificate)).serialNumber).toBe(old.serialNumber);
  expect(await ensureCertificates(systemDisk, folder, later)).toMatchObject({ renewed: true });
  const renewed = await read(paths.certificate);
  expect(renewed.serialNumber).not.toBe(old.serialNumber);
  expect(await systemDisk.read(paths.key)).toBe(key);
  expect(renewed.checkPrivateKey(createPrivateKey(key ?? ""))).toBe(true);
});

test("an authority that lost its key or is damaged is not replaced without a word", async () => {
  const { paths } = await ensure(["10.0.0.5"]);
  await rm(paths.caKey);
  await expect(ensure(["10.0.0.5"])).rejects.toMatchObject({ code: "DISK_ERROR" });
  await writeFile(paths.caKey, "nothing");
  await expect(ensure(["10.0.0.5"])).rejects.toMatchObject({ code: "DISK_ERROR" });
});
