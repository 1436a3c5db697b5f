// Keys of the roles: one seed file each, readable by their owner alone.
import { nkeys } from "nats";
import type { Disk } from "../../kernel/disk.ts";
import { makeFolder } from "../../kernel/node/folder.ts";
import type { User } from "./config.ts";
import type { Role } from "./roles.ts";
import { seedFile } from "./roles.ts";

/** The users of those roles; a key that exists is kept, a missing one is made. Files 0600, folder 0700. */
export async function ensureUsers(disk: Disk, folder: string, roles: readonly Role[]): Promise<User[]> {
  makeFolder(folder);
  const users: User[] = [];
  for (const role of roles) {
    const path = seedFile(folder, role);
    const existing = await disk.read(path);
    const pair = existing === null ? nkeys.createUser() : nkeys.fromSeed(new TextEncoder().encode(existing.trim()));
    if (existing === null) await disk.writeAtomic(path, `${new TextDecoder().decode(pair.getSeed())}\n`);
    users.push({ role, publicKey: pair.getPublicKey() });
    pair.clear();
  }
  return users;
}

/** The seed of a role, for a connection. */
export async function readSeed(disk: Disk, folder: string, role: Role): Promise<Uint8Array> {
  return new TextEncoder().encode(((await disk.read(seedFile(folder, role))) ?? "").trim());
}
