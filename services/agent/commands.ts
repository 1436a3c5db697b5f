// Answers what the leader asks of this node: assign, ping, logs, logs-credit, exec. A malformed message gets a coded error and
// is otherwise ignored. Called by `agent.ts`.
import type { Assign, AssignReply, ExecRequest, LogsCredit, LogsRequest } from "../../schemas/generated/types.ts";
import { assign, execRequest, logsCredit, logsRequest } from "../../schemas/generated/messages.js";
import type { Bus, BusMessage } from "../bus/port.ts";
import { respond, respondError } from "../bus/respond.ts";
import type { Cancel } from "../kernel/clock.ts";
import { asSwainError, SwainError } from "../kernel/errors.ts";
import { traced, traceOf } from "../kernel/trace.ts";

/** What the agent does for the commands. */
export interface CommandTarget {
  /** Monotonic milliseconds. */
  now(): number;
  held(): { readonly logId: string; readonly generation: number };
  /** Resolves with what is held then. Rejects with DISK_ERROR. */
  assign(assignment: Assign): Promise<{ readonly logId: string; readonly generation: number }>;
  /** Begins to send; false when no pod was ever here. Throws NOT_FOUND, BUSY, INVALID_REQUEST. */
  logs(request: LogsRequest): boolean;
  credit(credit: LogsCredit): void;
  /** Resolves when the program runs, with false when no pod was ever here. Rejects with NOT_FOUND, BUSY, NO_LEADER … */
  exec(request: ExecRequest): Promise<boolean>;
}

/** Serves the commands until cancelled. `inbox`: the only place this node may answer to. */
export function serveCommands(bus: Bus, subject: string, inbox: string, target: CommandTarget): Cancel {
  return bus.subscribe(subject, (message) => {
    const verb = message.subject.slice(message.subject.lastIndexOf(".") + 1);
    const parent = traceOf(message, target.now());
    const work = (): Promise<object | null> => answer(verb, message, target);
    const answered = parent === undefined ? work() : traced(`command ${verb}`, work, { parent, kind: "server" });
    void answered.then(
      (value) => {
        if (value !== null) respond(bus, message, inbox, value);
      },
      (error: unknown) => {
        respondError(bus, message, inbox, asSwainError(error));
      },
    );
  });
}

async function answer(verb: string, message: BusMessage, target: CommandTarget): Promise<object | null> {
  const body = message.json();
  switch (verb) {
    case "assign":
      if (!assign(body)) throw malformed(verb);
      return replyOf(await target.assign(body));
    case "ping":
      return replyOf(target.held());
    case "logs":
      if (!logsRequest(body)) throw malformed(verb);
      if (!target.logs(body)) throw new SwainError("NOT_FOUND", `pod ${body.name} is not on this node`);
      return {};
    case "exec":
      if (!execRequest(body)) throw malformed(verb);
      if (!(await target.exec(body))) throw new SwainError("NOT_FOUND", `pod ${body.name} is not on this node`);
      return {};
    case "logs-credit":
      if (logsCredit(body)) target.credit(body);
      return null;
    default:
      throw new SwainError("INVALID_REQUEST", `there is no command ${verb}`);
  }
}

function replyOf(held: { readonly logId: string; readonly generation: number }): AssignReply {
  return { logId: held.logId, held: held.generation };
}

function malformed(verb: string): SwainError {
  return new SwainError("INVALID_REQUEST", `the body of ${verb} does not fit its schema`);
}
