// Where this node's container engine is: what the user named, else the usual places of Docker and Podman in a fixed
// order, the first that answers. An agent remembers the place it found, because its containers live there: another
// engine that happens to answer first one day must not be taken for it.
import { existsSync } from "node:fs";
import { SwainError } from "../../../kernel/errors.ts";
import type { Logger } from "../../../kernel/log.ts";
import { systemClock } from "../../../kernel/node/clock.ts";
import { systemDisk } from "../../../kernel/node/disk.ts";
import { keepLine, keptLine } from "../../kept.ts";
import { Engine, engineName, socketPath } from "./engine.ts";
import type { EngineVersion, Locate } from "./engine.ts";
import { timeouts } from "./timeouts.ts";

export interface EnginePlace {
  /** `unix:///path`, `tcp://host:port`, or what else DOCKER_HOST may hold. */
  readonly address: string;
  /** Who names it: `--engine`, a variable, or the engine it is usual for. */
  readonly from: string;
}

export type EngineSearch =
  | { readonly ok: true; readonly place: EnginePlace; readonly engine: string; readonly reason: string }
  | { readonly ok: false; readonly why: string };

type Environment = Readonly<Record<string, string | undefined>>;

/** A bare path is a socket's. */
const addressOf = (text: string): string => (text.startsWith("/") ? `unix://${text}` : text);

/**
 * The places to look at, in order. What `--engine` names is the only one, and where a variable names one the usual
 * sockets are not asked: pods must not start on an engine nobody meant. A variable that is empty names none.
 */
export function enginePlaces(given: string | undefined, env: Environment, uid: number | undefined): EnginePlace[] {
  if (given !== undefined && given !== "") return [{ address: addressOf(given), from: "asked for" }];
  const { DOCKER_HOST, CONTAINER_HOST, XDG_RUNTIME_DIR } = env;
  const named = placesOf([
    { text: DOCKER_HOST, from: "DOCKER_HOST" },
    { text: CONTAINER_HOST, from: "CONTAINER_HOST" },
  ]);
  if (named.length > 0) return named;
  return placesOf([
    { text: XDG_RUNTIME_DIR && `${XDG_RUNTIME_DIR}/podman/podman.sock`, from: "rootless Podman" },
    { text: uid === undefined ? undefined : `/run/user/${uid}/podman/podman.sock`, from: "rootless Podman" },
    { text: "/run/podman/podman.sock", from: "Podman" },
    { text: "/var/run/docker.sock", from: "Docker" },
  ]);
}

function placesOf(texts: readonly { readonly text: string | undefined; readonly from: string }[]): EnginePlace[] {
  const places = texts.flatMap(({ text, from }) => (text ? [{ address: addressOf(text), from }] : []));
  return places.filter(({ address }, index) => places.findIndex((other) => other.address === address) === index);
}

/** Podman's ssh addresses need its own client; DOCKER_HOST's are understood by the library. */
const isForeign = ({ address, from }: EnginePlace): boolean => from !== "DOCKER_HOST" && address.startsWith("ssh:");

/** Asks one place whether an engine answers, within 2 s. Never rejects. */
async function ask(place: EnginePlace): Promise<{ engine: string } | { why: string }> {
  if (isForeign(place)) return { why: "addresses over ssh are not supported here" };
  const path = socketPath(place.address);
  // Loading the client library takes longer than this look.
  if (path !== undefined && !existsSync(path)) return { why: "there is no such socket" };
  const engine = new Engine(systemClock, async () => place.address);
  try {
    const call = { what: "version", method: "GET", path: "/version", timeout: timeouts.probe } as const;
    return { engine: engineName(await engine.ask<EngineVersion>(call)) };
  } catch (error) {
    return { why: error instanceof Error ? error.message : String(error) };
  } finally {
    engine.close();
  }
}

const plain = (address: string): string => socketPath(address) ?? address;

/** The first place that answers, with the reason as a sentence; or why there is none. Never rejects. */
export async function findEngine(
  given?: string,
  env: Environment = process.env,
  uid: number | undefined = process.getuid?.(),
): Promise<EngineSearch> {
  const places = enginePlaces(given, env, uid);
  const silent: { place: EnginePlace; why: string }[] = [];
  for (const place of places) {
    const answer = await ask(place);
    if ("why" in answer) {
      silent.push({ place, why: answer.why });
      continue;
    }
    // A usual place that is empty is no news; one that a variable named, or where something should answer, is.
    const passed = silent.filter(
      ({ place: { from }, why }) => from.endsWith("_HOST") || why !== "there is no such socket",
    );
    const others = passed.map(({ place: { address, from }, why }) => `; not ${plain(address)} (${from}): ${why}`);
    const reason = `${answer.engine} answers at ${plain(place.address)} (${place.from})${others.join("")}`;
    return { ok: true, place, engine: answer.engine, reason };
  }
  const looked = silent.map(({ place: { address, from }, why }) => `${plain(address)} (${from}: ${why})`);
  return { ok: false, why: `no container engine answers at ${looked.join(", ")}` };
}

/**
 * How a driver finds its engine. With `given` it is there and nowhere else; else where `file` remembers, else the first
 * that answers, which is then remembered. Rejects with ENGINE_UNREACHABLE.
 */
export function locateEngine(given: string | undefined, file: string | undefined, log: Logger): Locate {
  const memory = file === undefined ? null : { disk: systemDisk, file, log };
  return async () => {
    const known = given === undefined && memory !== null ? await keptLine(memory) : null;
    if (known !== null) return known;
    const found = given === undefined ? await findEngine() : null;
    if (found?.ok === false) throw new SwainError("ENGINE_UNREACHABLE", found.why);
    const address = found === null ? addressOf(given ?? "") : found.place.address;
    if (found !== null) log.info("found a container engine", { reason: found.reason });
    if (memory !== null) await keepLine(memory, address);
    return address;
  };
}
