// Who has joined and who may: pure decisions over the registry that the registrar of `swain up` keeps in one file. It
// holds public keys only. Not the nodes of the cluster: those the leader keeps.
import { SwainError } from "../../kernel/errors.ts";
import type { JoinKind } from "../join-token.ts";
import { isUserKey } from "../nkey.ts";
import type { User } from "./config.ts";
import type { JoinedRole } from "./roles.ts";

/** A part of another machine with a key of its own. */
interface Member {
  readonly role: JoinedRole;
  readonly publicKey: string;
  /** The token it came with. */
  readonly token: string;
  /** Milliseconds since 1970, by this machine's clock. */
  readonly joined: number;
}

/** A token that was made here. */
interface IssuedToken {
  readonly id: string;
  readonly kind: JoinKind;
  /** Of the key inside the token. */
  readonly publicKey: string;
  readonly uses: number;
  /** Public keys of those that came with it. */
  readonly used: readonly string[];
  /** Milliseconds since 1970, by this machine's clock, which alone judges it. */
  readonly expires: number;
}

export interface Registry {
  readonly members: readonly Member[];
  readonly tokens: readonly IssuedToken[];
  /** How far the log was looked through for removed nodes. */
  readonly seen: Place;
}

/** An event of the log; `epoch` is of the leader that wrote it, which earlier versions did not note. */
export interface Place {
  readonly logId: string;
  readonly epoch?: number;
  readonly sequence: number;
}

export const emptyRegistry: Registry = { members: [], tokens: [], seen: { logId: "", sequence: 0 } };

/** More open tokens than machines anybody adds at a time; each is a user the server must know. */
const maxTokens = 200;
/** An expired token is still told so for this long; afterwards the server does not know it. */
const graceMs = 10 * 60_000;

/** The registry with one more token. `own` are the users of `swain up` itself. Throws BUSY, INVALID_REQUEST. */
export function issue(
  registry: Registry,
  token: Omit<IssuedToken, "used">,
  own: readonly User[],
  now: number,
): Registry {
  const swept = sweep(registry, now);
  refuseUnfitKey(swept, own, token.publicKey);
  if (swept.tokens.length >= maxTokens) {
    throw new SwainError("BUSY", `${maxTokens} join tokens are open: wait until some have expired`, {
      details: { retryAfterMs: graceMs },
    });
  }
  return { ...swept, tokens: [...swept.tokens, { ...token, used: [] }] };
}

export interface JoinAsk {
  /** Of the token, as the server knows it. */
  readonly token: string;
  readonly kind: JoinKind;
  readonly id: string;
  readonly publicKey: string;
}

/**
 * The registry with whoever asks as a member; the same registry when it is one already, since an answer may get lost.
 * `own` are the users of `swain up` itself. Throws JOIN_TOKEN_EXPIRED, JOIN_TOKEN_USED, JOIN_TOKEN_INVALID, NODE_ID_TAKEN,
 * INVALID_REQUEST.
 */
export function admit(registry: Registry, ask: JoinAsk, own: readonly User[], now: number): Registry {
  const token = registry.tokens.find(({ id }) => id === ask.token);
  if (token === undefined || token.expires <= now) {
    throw new SwainError("JOIN_TOKEN_EXPIRED", `the join token ${ask.token} has expired`);
  }
  if (token.kind !== ask.kind) {
    throw new SwainError("JOIN_TOKEN_INVALID", `the join token is for a ${token.kind}, not for a ${ask.kind}`);
  }
  const role: JoinedRole = `${ask.kind}-${ask.id}`;
  const holder = registry.members.find((member) => member.role === role);
  if (holder?.publicKey === ask.publicKey && token.used.includes(ask.publicKey)) return registry;
  if (token.used.length >= token.uses) {
    const times = token.uses === 1 ? "once, as often as" : `${token.uses} times, as often as`;
    throw new SwainError("JOIN_TOKEN_USED", `the join token was used ${times} it may be`);
  }
  if (holder !== undefined || own.some((user) => user.role === role)) {
    throw new SwainError("NODE_ID_TAKEN", `another ${ask.kind} has the id ${ask.id}`);
  }
  refuseUnfitKey(registry, own, ask.publicKey);
  const member = { role, publicKey: ask.publicKey, token: token.id, joined: now };
  const used = { ...token, used: [...token.used, ask.publicKey] };
  return {
    ...registry,
    members: [...registry.members, member],
    tokens: registry.tokens.map((one) => (one === token ? used : one)),
  };
}

/** With a key that is none, or with two users of one key, the server would refuse its whole configuration. */
function refuseUnfitKey(registry: Registry, own: readonly User[], publicKey: string): void {
  if (!isUserKey(publicKey)) {
    throw new SwainError("INVALID_REQUEST", "that is no public key of a user: its checksum is wrong");
  }
  if (![...own, ...usersOf(registry)].some((user) => user.publicKey === publicKey)) return;
  throw new SwainError("INVALID_REQUEST", "that key is another user's: make a new one");
}

/** The registry without keys that are none, which earlier versions entered: nobody can have them. */
export function withoutUnfitKeys(registry: Registry): Registry {
  const isFit = ({ publicKey }: { readonly publicKey: string }): boolean => isUserKey(publicKey);
  return { ...registry, members: registry.members.filter(isFit), tokens: registry.tokens.filter(isFit) };
}

/** The registry without tokens that ended long ago; the same when there are none. */
export function sweep(registry: Registry, now: number): Registry {
  const tokens = registry.tokens.filter(({ expires }) => now < expires + graceMs);
  return tokens.length === registry.tokens.length ? registry : { ...registry, tokens };
}

/** A node that the log says was removed. */
export interface Removal extends Place {
  readonly node: string;
}

/** The registry without the agents of nodes removed after what it has seen; `upTo` is how far the log was looked through. */
export function revoke(registry: Registry, removals: readonly Removal[], upTo: Registry["seen"]): Registry {
  const gone = new Set<string>(leaving(registry, removals).map(({ node }) => `agent-${node}`));
  const members = registry.members.filter(({ role }) => !gone.has(role));
  const seen = isAfter(upTo, registry.seen) ? upTo : registry.seen;
  if (members.length === registry.members.length && seen === registry.seen) return registry;
  return { ...registry, members, seen };
}

/** Those of the removals that end a member's credentials. */
export function leaving(registry: Registry, removals: readonly Removal[]): Removal[] {
  const roles = new Set<string>(registry.members.map(({ role }) => role));
  return removals.filter((removal) => isAfter(removal, registry.seen) && roles.has(`agent-${removal.node}`));
}

/** Another log counts from its own beginning, and a later leader of one that lost its end from before what was seen. */
export const isAfter = (one: Place, other: Place): boolean =>
  one.logId !== other.logId ||
  one.sequence > other.sequence ||
  (one.epoch !== undefined && other.epoch !== undefined && one.epoch > other.epoch);

/** The users the server must know for it. */
export function usersOf(registry: Registry): User[] {
  return [
    ...registry.members.map(({ role, publicKey }) => ({ role, publicKey })),
    ...registry.tokens.map(({ id, publicKey }) => ({ role: `join-${id}` as const, publicKey })),
  ];
}
