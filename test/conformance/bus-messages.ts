// What every bus must do with messages and requests. Run by `busConformance`.
import { beforeAll, describe, expect, it } from "vitest";
import type { Bus, BusMessage } from "../../services/bus/port.ts";
import { respond, respondError } from "../../services/bus/respond.ts";
import type { Subjects } from "../../services/bus/subjects.ts";
import { SwainError } from "../../services/kernel/errors.ts";
import { codeOf, fresh, until, waitMs } from "../support/bus-world.ts";
import type { BusWorld, OpenedWorld } from "../support/bus-world.ts";

const encoder = new TextEncoder();

export function messageConformance(opened: () => OpenedWorld): void {
  describe("messages", () => {
    let world: BusWorld;
    let bus: Bus;
    let other: Bus;
    let names: Subjects;
    beforeAll(() => {
      ({ world, bus, other, names } = opened());
    });
    const nodeId = "n1";
    const subject = (): string => names.api("_", "test", fresh());
    const ask = (to: string, value: unknown, timeoutMs = waitMs): Promise<BusMessage> =>
      bus.request(to, value, { timeoutMs });

    it("delivers a published value to every subscriber, and to none after its cancel", async () => {
      const to = subject();
      const first: unknown[] = [];
      const second: unknown[] = [];
      other.subscribe(to, (message) => first.push(message.json()));
      const cancel = bus.subscribe(to, (message) => second.push(message.json()));
      await other.flush(waitMs);
      bus.publish(to, { n: 1 });
      await until(() => first.length === 1 && second.length === 1, "both heard");
      cancel();
      cancel();
      bus.publish(to, { n: 2 });
      await until(() => first.length === 2, "the other heard");
      await bus.flush(waitMs);
      expect([first, second]).toEqual([[{ n: 1 }, { n: 2 }], [{ n: 1 }]]);
    });

    it("handles what was on its way at a cancel only where that was asked for", async () => {
      const to = subject();
      const heard = { cut: 0, drained: 0 };
      const cut = other.subscribe(to, () => {
        heard.cut += 1;
        cut();
      });
      const drained = other.subscribe(
        to,
        () => {
          heard.drained += 1;
          drained();
        },
        { drain: true },
      );
      await other.flush(waitMs);
      for (let n = 0; n < 20; n += 1) bus.publish(to, n);
      await until(() => heard.drained === 20, "all were heard");
      await other.flush(waitMs);
      bus.publish(to, "after");
      await bus.flush(waitMs);
      await other.flush(waitMs);
      expect(heard).toEqual({ cut: 1, drained: 20 });
    });

    it("keeps the order of one sender's messages", async () => {
      const to = subject();
      const heard: unknown[] = [];
      other.subscribe(to, (message) => heard.push(message.json()));
      await other.flush(waitMs);
      for (let n = 0; n < 500; n += 1) bus.publish(to, n);
      await until(() => heard.length === 500, "all were heard");
      expect(heard).toEqual(Array.from({ length: 500 }, (_, n) => n));
    });

    it("carries headers, the reply subject and raw bytes", async () => {
      const to = subject();
      const heard: BusMessage[] = [];
      other.subscribe(to, (message) => heard.push(message));
      await other.flush(waitMs);
      bus.publish(to, new Uint8Array([1, 0, 255]), { headers: { "Swain-Test": "yes" }, reply: "_INBOX.here" });
      await until(() => heard.length === 1, "it was heard");
      const [message] = heard;
      expect([...(message?.data ?? [])]).toEqual([1, 0, 255]);
      expect(message?.header("Swain-Test")).toBe("yes");
      expect(message?.header("Swain-Other")).toBeUndefined();
      expect(message?.reply).toBe("_INBOX.here");
      expect(message?.subject).toBe(to);
    });

    it("says how long a body is", async () => {
      const to = subject();
      const heard: BusMessage[] = [];
      other.subscribe(to, (message) => heard.push(message));
      await other.flush(waitMs);
      // A character of two bytes, and one that JSON escapes.
      for (const value of [new Uint8Array(12), "éé\n12345", { a: "é12" }, undefined]) bus.publish(to, value);
      await until(() => heard.length === 4, "all were heard");
      const bytes = (message: BusMessage): number => [...Array(20).keys()].findIndex((most) => !message.isOver(most));
      expect(heard.map(bytes)).toEqual([12, 13, 12, 0]);
      expect(heard.map((message) => message.data.length)).toEqual([12, 13, 12, 0]);
    });

    it("gives undefined for a body that is not JSON", async () => {
      const to = subject();
      const heard: unknown[] = [];
      other.subscribe(to, (message) => heard.push(message.json()));
      await other.flush(waitMs);
      bus.publish(to, encoder.encode("{not json"));
      bus.publish(to, undefined);
      await until(() => heard.length === 2, "both were heard");
      expect(heard).toEqual([undefined, undefined]);
    });

    it("delivers by wildcard", async () => {
      const heard: string[] = [];
      const cancel = other.subscribe(names.node.commandAll("n9"), (message) => heard.push(message.subject));
      await other.flush(waitMs);
      bus.publish(names.node.command("n9", "assign"), {});
      bus.publish(names.node.sync("n9"), {});
      bus.publish(names.node.command("n8", "assign"), {});
      bus.publish(names.node.command("n9", "ping"), {});
      await until(() => heard.length === 2, "both were heard");
      cancel();
      expect(heard).toEqual([names.node.command("n9", "assign"), names.node.command("n9", "ping")]);
    });

    it("answers many requests at once, each with its own answer", async () => {
      const to = subject();
      other.subscribe(to, (message) => respond(other, message, bus.inboxPrefix, { echo: message.json() }));
      await other.flush(waitMs);
      const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => ask(to, n)));
      expect(answers.map((answer) => answer.json())).toEqual(Array.from({ length: 200 }, (_, n) => ({ echo: n })));
    });

    it("gives an error answer as an answer, with code and action", async () => {
      const to = subject();
      other.subscribe(to, (message) =>
        respondError(
          other,
          message,
          bus.inboxPrefix,
          new SwainError("BUSY", "too\nmuch", { details: { retryAfterMs: 7 } }),
        ),
      );
      await other.flush(waitMs);
      const answer = await ask(to, {});
      expect(answer.header("Nats-Service-Error-Code")).toBe("BUSY");
      expect(answer.header("Nats-Service-Error")).toBe("too much");
      expect(answer.json()).toMatchObject({ error: { code: "BUSY", message: "too\nmuch", retryAfterMs: 7 } });
    });

    it("rejects a request nobody listens for at once with NO_LEADER", async () => {
      const started = performance.now();
      expect(await codeOf(ask(subject(), {}, 30_000))).toBe("NO_LEADER");
      expect(performance.now() - started).toBeLessThan(10_000);
    });

    it("rejects a request nobody answers with TIMEOUT", async () => {
      const to = subject();
      other.subscribe(to, () => {});
      await other.flush(waitMs);
      expect(await codeOf(ask(to, {}, 100))).toBe("TIMEOUT");
    });

    it("asks nodes by a reply subject under the node's inbox, the only place a node may answer to", async () => {
      const asked: (string | undefined)[] = [];
      for (const id of ["n1", "n2"]) {
        other.subscribe(names.node.command(id, "ping"), (message) => {
          asked.push(message.reply);
          respond(other, message, names.node.inbox(id), { id, got: message.json() });
        });
      }
      await other.flush(waitMs);
      const answers = await Promise.all(
        Array.from({ length: 100 }, (_, n) => ask(names.node.command(n % 2 === 0 ? "n1" : "n2", "ping"), n)),
      );
      expect(answers.map((answer) => answer.json())).toEqual(
        Array.from({ length: 100 }, (_, n) => ({ id: n % 2 === 0 ? "n1" : "n2", got: n })),
      );
      expect(asked.filter((reply) => reply?.startsWith(names.node.inbox("n1")))).toHaveLength(50);
      expect(await codeOf(ask(names.node.command("n3", "ping"), {}, 30_000))).toBe("NO_LEADER");
      other.subscribe(names.node.command("n4", "ping"), () => {});
      await other.flush(waitMs);
      expect(await codeOf(ask(names.node.command("n4", "ping"), {}, 100))).toBe("TIMEOUT");
    });

    it("refuses to answer outside the asker's inbox", async () => {
      const to = subject();
      const answered: boolean[] = [];
      const stolen: BusMessage[] = [];
      const victim = names.node.command("victim", "assign");
      other.subscribe(to, (message) => answered.push(respond(other, message, names.node.inbox(nodeId), {})));
      other.subscribe(victim, (message) => stolen.push(message));
      await other.flush(waitMs);
      bus.publish(to, {}, { reply: victim });
      bus.publish(to, {}, { reply: names.node.inbox(nodeId) });
      bus.publish(to, {});
      bus.publish(to, {}, { reply: `${names.node.inbox(nodeId)}x` });
      await until(() => answered.length === 4, "all were handled");
      await other.flush(waitMs);
      expect([answered, stolen]).toEqual([[false, false, false, true], []]);
    });

    it("uses the inbox prefix it was given", async () => {
      const agent = await world.connect({ inboxPrefix: names.node.inbox(nodeId) });
      const to = subject();
      const replies: (string | undefined)[] = [];
      other.subscribe(to, (message) => {
        replies.push(message.reply);
        respond(other, message, names.node.inbox(nodeId), "ok");
      });
      await other.flush(waitMs);
      expect(agent.inboxPrefix).toBe(names.node.inbox(nodeId));
      expect((await agent.request(to, {}, { timeoutMs: waitMs })).json()).toBe("ok");
      expect(replies[0]?.startsWith(names.node.inbox(nodeId))).toBe(true);
      await agent.close();
    });

    it("goes on after a handler that throws", async () => {
      const to = subject();
      let heard = 0;
      other.subscribe(to, () => {
        heard += 1;
        throw new Error("a defect of the handler");
      });
      await other.flush(waitMs);
      bus.publish(to, {});
      bus.publish(to, {});
      await until(() => heard === 2, "both were heard");
    });

    it("refuses a message larger than the server takes with PAYLOAD_TOO_LARGE", async () => {
      const huge = new Uint8Array(64 * 1024 * 1024);
      const to = subject();
      expect(() => bus.publish(to, huge)).toThrow(expect.objectContaining({ code: "PAYLOAD_TOO_LARGE" }));
      expect(await codeOf(ask(to, huge))).toBe("PAYLOAD_TOO_LARGE");
      other.subscribe(to, (message) => respond(other, message, bus.inboxPrefix, "x".repeat(huge.length)));
      await other.flush(waitMs);
      expect((await ask(to, {})).header("Nats-Service-Error-Code")).toBe("PAYLOAD_TOO_LARGE");
    });

    it("after a close is closed, says so once, and rejects with BUS_CLOSED", async () => {
      const closing = await world.connect();
      other.subscribe(names.node.command("n5", "ping"), () => {});
      await other.flush(waitMs);
      const unanswered = codeOf(closing.request(names.node.command("n5", "ping"), {}, { timeoutMs: 30_000 }));
      const states: string[] = [];
      closing.onState((state) => states.push(state));
      expect(closing.state()).toBe("connected");
      const to = subject();
      let heard = 0;
      other.subscribe(to, () => (heard += 1));
      await other.flush(waitMs);
      closing.publish(to, {});
      await closing.close();
      await closing.close();
      closing.publish(to, {});
      await until(() => heard === 1, "what was sent before the close arrived");
      expect([closing.state(), states]).toEqual(["closed", ["closed"]]);
      expect(await unanswered).toBe("BUS_CLOSED");
      expect(await codeOf(closing.request(to, {}, { timeoutMs: 100 }))).toBe("BUS_CLOSED");
      expect(await codeOf(closing.flush(100))).toBe("BUS_CLOSED");
      expect(heard).toBe(1);
    });
  });
}
