// Tells whether two processes can reach each other's container addresses: same machine, same boot, same network.
import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/**
 * Sixteen hex digits that are equal for processes sharing a kernel and a network namespace, and for no others.
 * A container's own address means something only there. Where a system has no boot id or namespaces, the rest decides.
 */
export function hostFact(): string {
  const machine = firstOf(
    () => text("/etc/machine-id"),
    () => text("/var/lib/dbus/machine-id"),
    hostname,
  );
  const boot = firstOf(() => text("/proc/sys/kernel/random/boot_id"));
  const network = firstOf(() => readlinkSync("/proc/self/ns/net"));
  return createHash("sha256").update([machine, boot, network].join("\n")).digest("hex").slice(0, 16);
}

const text = (path: string): string => readFileSync(path, "utf8").trim();

function firstOf(...sources: (() => string)[]): string {
  for (const source of sources) {
    try {
      const value = source();
      if (value !== "") return value;
    } catch {
      // Not on this system.
    }
  }
  return "";
}
