// Keeps the list of machines that joined: answers whoever holds a token, adds and drops users of the nats-server that this
// supervisor runs, and makes it read them and a renewed certificate. It decides by `registry.ts`; it has no part in what
// runs, and the leader none in credentials.
import { joinRequest, joinTokenRequest } from "../../schemas/generated/messages.js";
import type { JoinReply, JoinTokenReply } from "../../schemas/generated/types.ts";
import { connectBus } from "../../services/bus/connect.ts";
import type { User } from "../../services/bus/embedded/config.ts";
import { admit, issue, leaving, revoke, sweep, usersOf } from "../../services/bus/embedded/registry.ts";
import type { Registry } from "../../services/bus/embedded/registry.ts";
import { registrarInbox, seedFile } from "../../services/bus/embedded/roles.ts";
import type { Bus, BusMessage } from "../../services/bus/port.ts";
import { respond, respondError } from "../../services/bus/respond.ts";
import { subjectsOf, tokenIdOf } from "../../services/bus/subjects.ts";
import { checked } from "../../services/controller/api/request.ts";
import type { Cancel } from "../../services/kernel/clock.ts";
import { asSwainError, SwainError } from "../../services/kernel/errors.ts";
import { silent } from "../../services/kernel/log.ts";
import { systemClock } from "../../services/kernel/node/clock.ts";
import { systemDisk } from "../../services/kernel/node/disk.ts";
import { systemIds, systemRandom } from "../../services/kernel/node/ids.ts";
import { farewells } from "./farewell.ts";
import type { LocalPaths } from "./layout.ts";
import { readRegistry } from "./members.ts";
import { removedNodes } from "./removed.ts";

export interface RegistrarOptions {
  readonly paths: LocalPaths;
  readonly cluster: string;
  /** Where the server is reached from here. */
  readonly server: string;
  /** Where other machines reach it. */
  readonly servers: readonly string[];
  /** The authority, PEM; null without TLS. */
  readonly ca: string | null;
  /** The users of this machine's own parts. */
  readonly own: readonly User[];
  /** Writes the server's configuration with these users beside its own. */
  readonly configure: (joined: readonly User[]) => Promise<void>;
  /** Makes the server's certificate anew when that nears its end; true when the server has to read it. */
  readonly renewCertificate: () => Promise<boolean>;
  /** Makes the running server read configuration and certificate; resolves when it has. */
  readonly reload: () => Promise<void>;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** The log is looked through for removed nodes and old tokens this often: a message of the feed may be lost. */
const sweepMs = 60_000;
/** The certificate is renewed months before its end. */
const renewalMs = 86_400_000;
/** Asked of a few machines at a time; more wait their turn, and far more are a flood. */
const maxWaiting = 100;

export class Registrar {
  private readonly options: RegistrarOptions;
  private readonly bus: Bus;
  private registry: Registry;
  /** False while the server may know other users than the registry's, or an old certificate: the next change tells it. */
  private isTold = true;
  /** When the certificate was looked at; at first by who started the server. Milliseconds since 1970. */
  private renewalSeen = systemClock.wall();
  /** One change after the other: each writes the file, the configuration, and waits for the server. */
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;
  /** A look that has not begun yet will see everything a second one would. */
  private lookWaits = false;
  private readonly cancels: Cancel[];

  private constructor(options: RegistrarOptions, bus: Bus, registry: Registry) {
    this.options = options;
    this.bus = bus;
    this.registry = registry;
    const { join, feed } = subjectsOf(options.cluster);
    const look = (): void => this.look();
    const timer = setInterval(look, sweepMs);
    this.cancels = [
      () => clearInterval(timer),
      bus.subscribe(join.token, (message) => this.serve(message, "_INBOX.", () => this.issueToken(message))),
      bus.subscribe(join.ask("*"), (message) => {
        this.serve(message, join.inbox(tokenIdOf(message.subject)), () => this.admitMachine(message));
      }),
      bus.subscribe(feed(undefined, "node", "*", "removed"), look),
      bus.onState((state) => state === "connected" && look()),
    ];
    look();
  }

  /** Connects and serves until closed. Rejects like `connectBus`, and with DISK_ERROR. */
  static async start(options: RegistrarOptions): Promise<Registrar> {
    const { cluster, paths, server, signal } = options;
    const registry = await readRegistry(paths);
    const bus = await connectBus({
      servers: server,
      name: "registrar",
      cluster,
      creds: seedFile(paths.creds, "registrar"),
      inboxPrefix: registrarInbox,
      clock: systemClock,
      random: systemRandom,
      log: silent,
      signal,
    });
    return new Registrar(options, bus, registry);
  }

  async close(): Promise<void> {
    for (const cancel of this.cancels) cancel();
    await this.last.catch(() => {});
    await this.bus.close();
  }

  private serve(message: BusMessage, inbox: string, work: () => Promise<unknown>): void {
    const answered = this.inTurn(work).then(
      (value) => respond(this.bus, message, inbox, value),
      (error: unknown) => {
        const known = asSwainError(error);
        if (known.code === "INTERNAL") this.tell(known);
        respondError(this.bus, message, inbox, known);
      },
    );
    answered.catch((error: unknown) => this.tell(error));
  }

  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.waiting >= maxWaiting) {
      throw new SwainError("BUSY", "many machines ask at once", { details: { retryAfterMs: 1000 } });
    }
    this.waiting += 1;
    const turn = this.last.catch(() => {}).then(work);
    this.last = turn;
    try {
      return await turn;
    } finally {
      this.waiting -= 1;
    }
  }

  private async issueToken(message: BusMessage): Promise<JoinTokenReply> {
    const { kind, publicKey, ttlMs, uses } = checked(joinTokenRequest, "join-token-request", message.json());
    const now = systemClock.wall();
    const id = systemIds.next();
    const expires = now + ttlMs;
    await this.change(issue(this.registry, { id, kind, publicKey, uses, expires }, this.options.own, now));
    const { servers, ca } = this.options;
    return { id, servers: [...servers], ca, expires };
  }

  private async admitMachine(message: BusMessage): Promise<JoinReply> {
    const { kind, id, publicKey } = checked(joinRequest, "join-request", message.json());
    const ask = { token: tokenIdOf(message.subject), kind, id, publicKey };
    const before = this.registry;
    await this.change(admit(before, ask, this.options.own, systemClock.wall()));
    if (this.registry !== before) this.options.say(`${kind} ${id} has joined`);
    return { cluster: this.options.cluster, kind, id };
  }

  private look(): void {
    if (this.lookWaits) return;
    this.lookWaits = true;
    for (const work of [() => this.tidy(), () => this.renew()]) {
      this.inTurn(work).catch((error: unknown) => {
        // It may have found no room to wait in, and then none waits.
        this.lookWaits = false;
        this.tell(error);
      });
    }
  }

  private async tidy(): Promise<void> {
    this.lookWaits = false;
    const swept = sweep(this.registry, systemClock.wall());
    const found = await removedNodes(this.bus, this.options.cluster, swept.seen).catch((error: unknown) => {
      // Without a leader nothing is removed; the next round asks again.
      if (asSwainError(error).retryable) return null;
      throw error;
    });
    const next = found === null ? swept : revoke(swept, found.removals, found.upTo);
    if (found?.gap === true) this.options.say("warning: too many events to see whether nodes were removed meanwhile");
    const before = this.registry;
    const { cluster } = this.options;
    const deaf = await farewells(this.bus, cluster, leaving(swept, found?.removals ?? []), systemClock);
    for (const { node } of deaf) {
      this.options.say(`warning: the agent of ${node} did not confirm that its pods are over; copies may run on there`);
    }
    await this.change(next);
    for (const { role } of before.members.filter((member) => !next.members.includes(member))) {
      this.options.say(`${role} was removed: its credentials are void`);
    }
  }

  /** A certificate that could not be made or read is tried again the next day, or by the next look. */
  private async renew(): Promise<void> {
    const now = systemClock.wall();
    if (now - this.renewalSeen < renewalMs) return;
    this.renewalSeen = now;
    if (!(await this.options.renewCertificate())) return;
    this.isTold = false;
    await this.change(this.registry);
    this.options.say("the server's certificate was renewed");
  }

  /**
   * Keeps the registry once the server has taken it, so that what failed on the way has not happened: who asked asks again,
   * and the next look tells the server anew. A crash in between loses no member, since none was answered yet.
   */
  private async change(next: Registry): Promise<void> {
    if (next === this.registry && this.isTold) return;
    const { paths, configure, reload } = this.options;
    const { members, tokens } = this.registry;
    if (next.members !== members || next.tokens !== tokens || !this.isTold) {
      this.isTold = false;
      await configure(usersOf(next));
      await reload();
    }
    await systemDisk.writeAtomic(paths.members, `${JSON.stringify(next, null, 2)}\n`);
    this.registry = next;
    this.isTold = true;
  }

  private tell(error: unknown): void {
    if (this.options.signal.aborted) return;
    const { code, message } = asSwainError(error);
    this.options.say(`registrar: ${code}: ${message}`);
  }
}
