// A driver around a driver that counts its calls and their errors and takes their time. It changes nothing else.
import type { Clock } from "../../kernel/clock.ts";
import { asSwainError } from "../../kernel/errors.ts";
import { traced } from "../../kernel/trace.ts";
import type { Meter } from "../figures.ts";
import type { Driver } from "./driver.ts";

/** What is counted. Following logs and events is left out: it lasts as long as someone looks. */
const calls = ["describe", "pull", "create", "start", "stop", "remove", "inspect", "list", "usage"] as const;
type Call = (typeof calls)[number];

const isCall = (name: string | symbol): name is Call => (calls as readonly (string | symbol)[]).includes(name);

/** The same driver, measured. */
export function measuredDriver(driver: Driver, clock: Clock, meter: Meter): Driver {
  const timed = async (call: Call, work: () => Promise<unknown>): Promise<unknown> => {
    const started = clock.mono();
    try {
      const value = await traced(`engine ${call}`, work, { kind: "client", now: started });
      meter.engineCalls.add(call, "OK");
      return value;
    } catch (error) {
      meter.engineCalls.add(call, asSwainError(error).code);
      throw error;
    } finally {
      meter.engineTime.add(clock.mono() - started);
    }
  };
  const measured = new Map(
    calls.map((call) => {
      const work = driver[call] as (...args: unknown[]) => Promise<unknown>;
      return [call, (...args: unknown[]) => timed(call, () => work.apply(driver, args))];
    }),
  );
  return new Proxy(driver, {
    get(target, name) {
      if (isCall(name)) return measured.get(name);
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
