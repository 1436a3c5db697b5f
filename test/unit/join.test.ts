import { expect, test } from "vitest";
import { configText, userText } from "../../services/bus/embedded/config.ts";
import type { User } from "../../services/bus/embedded/config.ts";
import { admit, emptyRegistry, issue, leaving, revoke, sweep, usersOf } from "../../services/bus/embedded/registry.ts";
import type { JoinAsk, Registry } from "../../services/bus/embedded/registry.ts";
import { decodeJoinToken, encodeJoinToken } from "../../services/bus/join-token.ts";
import type { JoinToken } from "../../services/bus/join-token.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { notConnected } from "../../cli/join.ts";
import { innerHost, nodeAddress, outerHosts } from "../../cli/local/addresses.ts";
import { newUser } from "../support/nats.ts";

const token: JoinToken = {
  id: "t1",
  kind: "agent",
  cluster: "c",
  servers: ["tls://10.0.0.5:4222", "tls://[fd00::5]:4222"],
  ca: `-----BEGIN CERTIFICATE-----\n${"A".repeat(64)}\n${"b+/".repeat(10)}=\n-----END CERTIFICATE-----\n`,
  seed: newUser().seed,
};

test("a token is one line of at most 2 KiB that reads back as it was", () => {
  const line = encodeJoinToken(token);
  expect(line).toMatch(/^[\w-]{1,2048}$/);
  expect(decodeJoinToken(`${line}\n`)).toEqual(token);
  expect(decodeJoinToken(encodeJoinToken({ ...token, ca: null, kind: "proxy" }))).toMatchObject({ ca: null });
});

test("what is no token is refused, and never repeated", () => {
  const line = encodeJoinToken(token);
  const changed = (fields: object): string =>
    Buffer.from(
      JSON.stringify({ ...JSON.parse(Buffer.from(line, "base64url").toString()), sum: undefined, ...fields }),
    ).toString("base64url");
  for (const wrong of ["", "hello", line.slice(0, -20), line.slice(20), `${line} ${line}`, "A".repeat(9000)]) {
    expect(() => decodeJoinToken(wrong)).toThrow(expect.objectContaining({ code: "JOIN_TOKEN_INVALID" }));
  }
  const bad = [
    { v: 0 },
    { kind: "controller" },
    { id: "a.b" },
    { servers: [] },
    { servers: ["tls://a:1,tls://b:1"] },
    { servers: ["http://a:1"] },
    { ca: 7 },
    { seed: "SUX" },
    { cluster: ">" },
  ];
  for (const fields of bad) {
    expect(() => decodeJoinToken(changed(fields)), JSON.stringify(fields)).toThrow(
      expect.objectContaining({ code: "JOIN_TOKEN_INVALID" }),
    );
  }
  expect(() => decodeJoinToken(changed({ v: 2 }))).toThrow(/a newer Swain/);
  try {
    decodeJoinToken(changed({ cluster: ">" }));
  } catch (error) {
    expect(String(error)).not.toContain(token.seed);
  }
});

test("a letter changed on the way is told at once, also where what it says could be true", () => {
  const json = Buffer.from(encodeJoinToken(token), "base64url").toString();
  const lineOf = (text: string): string => Buffer.from(text).toString("base64url");
  const changed = lineOf(json.replace("10.0.0.5", "10.0.0.6"));
  expect(() => decodeJoinToken(changed)).toThrow(
    expect.objectContaining({ code: "JOIN_TOKEN_INVALID", message: expect.stringContaining("a letter") as string }),
  );
  // A line of an earlier version has no sum.
  expect(decodeJoinToken(lineOf(json.replace(/,"sum":"[^"]+"/, "")))).toEqual(token);
});

test("a cluster that does not answer at the token's address is told with a joiner's cure", () => {
  const told = notConnected(new SwainError("NATS_UNREACHABLE", "no server"), "tls://10.0.0.6:4222");
  expect(told).toMatchObject({ code: "JOIN_UNREACHABLE", exit: 4 });
  expect(`${told.message} ${told.action}`).toMatch(/10\.0\.0\.6.*firewall/);
  expect(notConnected(new SwainError("NATS_DENIED", "no"), "x")).toMatchObject({ code: "JOIN_TOKEN_REFUSED" });
  expect(notConnected(new SwainError("SERVER_UNTRUSTED", "no"), "x")).toMatchObject({ code: "SERVER_UNTRUSTED" });
});

const key = (): string => newUser().nkey;
const own: User[] = [
  { role: "controller", publicKey: key() },
  { role: "agent-node-1", publicKey: key() },
];
const hour = 3_600_000;

function issued(fields: Partial<Parameters<typeof issue>[1]> = {}): Registry {
  return issue(emptyRegistry, { id: "t1", kind: "agent", publicKey: key(), uses: 1, expires: hour, ...fields }, own, 0);
}

const ask = (fields: Partial<JoinAsk> = {}): JoinAsk => ({
  token: "t1",
  kind: "agent",
  id: "web1",
  publicKey: key(),
  ...fields,
});

const code = (code: string) => expect.objectContaining({ code });

test("a token lets as many machines in as it says, each with a user of its own", () => {
  const first = admit(issued({ uses: 2 }), ask(), own, 1);
  const second = admit(first, ask({ id: "web2" }), own, 2);
  expect(usersOf(second).map(({ role }) => role)).toEqual(["agent-web1", "agent-web2", "join-t1"]);
  expect(() => admit(second, ask({ id: "web3" }), own, 3)).toThrow(code("JOIN_TOKEN_USED"));
});

test("who asks again with the same key, its answer lost, is let in again and costs no use", () => {
  const again = ask();
  const joined = admit(issued(), again, own, 1);
  expect(admit(joined, again, own, 2)).toBe(joined);
});

test("an id that somebody has is refused to any other key", () => {
  const joined = admit(issued({ uses: 9 }), ask(), own, 1);
  expect(() => admit(joined, ask(), own, 2)).toThrow(code("NODE_ID_TAKEN"));
  expect(() => admit(joined, ask({ id: "node-1" }), own, 2)).toThrow(code("NODE_ID_TAKEN"));
});

test("a key that is a user's already is refused: the server would refuse its whole configuration", () => {
  const held = ask();
  const joined = admit(issued({ uses: 9 }), held, own, 1);
  for (const publicKey of [own[0]!.publicKey, held.publicKey, joined.tokens[0]!.publicKey]) {
    expect(() => admit(joined, ask({ id: "web9", publicKey }), own, 2)).toThrow(code("INVALID_REQUEST"));
    const again = { id: "t2", kind: "agent", publicKey, uses: 1, expires: hour } as const;
    expect(() => issue(joined, again, own, 2)).toThrow(code("INVALID_REQUEST"));
  }
});

test("a key that is none is refused: the server would refuse its whole configuration", () => {
  const publicKey = `U${"A".repeat(55)}`;
  expect(() => issued({ publicKey })).toThrow(code("INVALID_REQUEST"));
  expect(() => admit(issued(), ask({ publicKey }), own, 1)).toThrow(code("INVALID_REQUEST"));
});

test("a token of another kind, an expired and an unknown one let nobody in", () => {
  expect(() => admit(issued(), ask({ kind: "proxy" }), own, 1)).toThrow(code("JOIN_TOKEN_INVALID"));
  expect(() => admit(issued(), ask(), own, hour)).toThrow(code("JOIN_TOKEN_EXPIRED"));
  expect(() => admit(issued(), ask({ token: "t2" }), own, 1)).toThrow(code("JOIN_TOKEN_EXPIRED"));
});

test("an expired token is told so for a while, then the server forgets it; members stay", () => {
  const joined = admit(issued(), ask(), own, 1);
  expect(sweep(joined, hour)).toBe(joined);
  expect(usersOf(sweep(joined, hour + 600_000)).map(({ role }) => role)).toEqual(["agent-web1"]);
});

test("open tokens are bounded", () => {
  const [open] = issued().tokens;
  const tokens = Array.from({ length: 199 }, (_, at) => ({ ...open!, id: `t${at}`, publicKey: `U${at}` }));
  const add = (registry: Registry, id: string): Registry =>
    issue(registry, { id, kind: "agent", publicKey: key(), uses: 1, expires: hour }, own, 0);
  const full = add({ ...emptyRegistry, tokens }, "the-last");
  expect(() => add(full, "one-more")).toThrow(code("BUSY"));
});

test("only removals that end credentials are waited for", () => {
  const joined = { ...admit(issued(), ask(), own, 1), seen: { logId: "l", sequence: 5 } };
  const removal = (node: string, sequence: number) => ({ logId: "l", sequence, node });
  const all = [removal("web1", 5), removal("web1", 7), removal("node-1", 8)];
  expect(leaving(joined, all)).toEqual([all[1]]);
});

test("a removed node loses its user once; one that joins anew under that id keeps its own", () => {
  const joined = { ...admit(issued({ uses: 9 }), ask(), own, 1), seen: { logId: "l", sequence: 5 } };
  const removal = { logId: "l", sequence: 7, node: "web1" };
  expect(revoke(joined, [{ ...removal, sequence: 5 }], { logId: "l", sequence: 5 })).toBe(joined);
  const revoked = revoke(joined, [removal], { logId: "l", sequence: 9 });
  expect(revoked).toMatchObject({ members: [], seen: { logId: "l", sequence: 9 } });
  const back = admit(revoked, ask(), own, 2);
  expect(revoke(back, [removal], { logId: "l", sequence: 9 })).toBe(back);
  expect(revoke(back, [{ ...removal, node: "web2", sequence: 10 }], { logId: "l", sequence: 10 }).members).toHaveLength(
    1,
  );
});

test("the configuration names certificate and key, and brackets addresses of the sixth version", () => {
  const base = { cluster: "c", port: 4222, store: "/s", syncAlways: true, users: [] };
  const text = configText({ ...base, host: "::", tls: { certificate: "/t/server.pem", key: "/t/server-key.pem" } });
  expect(text).toContain('listen: "[::]:4222"');
  expect(text).toContain('cert_file: "/t/server.pem"\n  key_file: "/t/server-key.pem"');
  expect(configText({ ...base, host: "10.0.0.5" })).not.toContain("tls");
});

test("who holds a token may ask and hear the answer, and nothing else", () => {
  const text = userText({ role: "join-t1", publicKey: "U1" }, "c");
  expect(text.match(/"swain[^"]*"/g)).toEqual(['"swain.c.join.ask.t1"', '"swain.c.join.inbox.t1.>"']);
});

test("a joined proxy speaks for itself alone", () => {
  const text = userText({ role: "proxy-edge", publicKey: "U1" }, "c");
  expect(text).toContain('"swain.c.proxy.edge.>"');
  expect(text).not.toContain("proxy.*");
});

test("other machines are told the address listened at, what was advertised, or this machine's own", () => {
  expect(outerHosts("10.0.0.5", [])).toEqual(["10.0.0.5"]);
  expect(outerHosts("10.0.0.5", ["swain.example"])).toEqual(["swain.example"]);
  expect(outerHosts("0.0.0.0", [])).not.toContain("127.0.0.1");
  expect(innerHost("0.0.0.0")).toBe("127.0.0.1");
  expect(innerHost("10.0.0.5")).toBe("10.0.0.5");
  expect(nodeAddress(undefined, [])).toBe("127.0.0.1");
  expect(nodeAddress("10.0.0.5", ["swain.example"])).toBe("10.0.0.5");
});
