// The engine's container calls with their times, and the guard of the driver: a container without this cluster's and
// this node's labels is never seen by anything above.
import type Dockerode from "dockerode";
import { sleep } from "../../../kernel/clock.ts";
import type { Clock } from "../../../kernel/clock.ts";
import { SwainError } from "../../../kernel/errors.ts";
import type { DriverIdentity } from "../driver.ts";
import { causeOf, statusOf } from "./engine.ts";
import type { Engine, EngineCall } from "./engine.ts";
import { networkOwner } from "./inspect.ts";
import type { Inspected, Listed } from "./inspect.ts";
import { isOurs, labels } from "./labels.ts";
import { conflictRetry, killWait, timeouts } from "./timeouts.ts";

/** Ids and names as every engine has them. */
const nameForm = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

export class ContainerCalls {
  private readonly engine: Engine;
  private readonly clock: Clock;
  private readonly identity: () => DriverIdentity | null;

  constructor(engine: Engine, clock: Clock, identity: () => DriverIdentity | null) {
    this.engine = engine;
    this.clock = clock;
    this.identity = identity;
  }

  /** Null when it is not there or not ours. */
  async inspect(id: string): Promise<Inspected | null> {
    const found = await this.inspectAny(id);
    return found && isOurs(found.Config.Labels, this.identity()) ? found : null;
  }

  /** By id or name, whoever it belongs to: only to say who holds a name. */
  async inspectAny(idOrName: string): Promise<Inspected | null> {
    // Anything else would make another path of the call, and the client library follows where that leads.
    if (!nameForm.test(idOrName)) return null;
    const path = `/containers/${idOrName}/json`;
    const call = { what: `inspect ${idOrName}`, method: "GET", path, timeout: timeouts.read } as const;
    try {
      return await this.engine.askAboutOne<Inspected>(call);
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
    }
    // Podman under load now and then denies a container that is there: a second look decides.
    if (!(await this.engine.isPodman())) return null;
    try {
      return await this.engine.askAboutOne<Inspected>(call);
    } catch (error) {
      if (statusOf(error) === 404) return null;
      throw error;
    }
  }

  /** All containers of this cluster and node, whatever their state, also such as the engine cannot describe. */
  async list(): Promise<Listed[]> {
    const identity = this.identity();
    if (identity === null) return [];
    const label = [`${labels.cluster}=${identity.clusterUid}`, `${labels.node}=${identity.node}`];
    const query = { all: true, filters: { label } };
    const call = { what: "list containers", method: "GET", query, timeout: timeouts.read } as const;
    try {
      return await this.engine.ask<Listed[]>({ ...call, path: "/containers/json" });
    } catch (error) {
      // Podman describes each container for this list, and gives none when it cannot describe one. Its own list is a plain one.
      if (statusOf(error) !== 500 || !(await this.engine.isPodman())) throw error;
      return this.engine.ask<Listed[]>({ ...call, path: "/v4.0.0/libpod/containers/json" });
    }
  }

  /** The new container's id. */
  async create(name: string, options: Dockerode.ContainerCreateOptions): Promise<string> {
    const call = { what: `create ${name}`, method: "POST", path: "/containers/create", query: { name } } as const;
    const made = await this.engine.askAboutOne<{ Id: string }>({ ...call, body: options, timeout: timeouts.create });
    return made.Id;
  }

  /** For one that was just seen: that it is not there is not believed at once. */
  async start(id: string): Promise<void> {
    const path = `/containers/${id}/start`;
    const call = { what: `start ${id}`, method: "POST", path, timeout: timeouts.start } as const;
    for (let time = 0; ; time += 1) {
      try {
        await this.unlessDone([304], call);
        return;
      } catch (error) {
        if (statusOf(error) !== 404 || time >= 1 || !(await this.inspect(id))) throw error;
      }
    }
  }

  /** The engine itself sends the second signal, so the container ends even if the agent does first. Whole seconds, rounded up. */
  async stop(id: string, graceMs: number): Promise<void> {
    const path = `/containers/${id}/stop`;
    const query = { t: Math.ceil(graceMs / 1000) };
    const timeout = graceMs + timeouts.stopMargin;
    await this.unlessDone([304, 404], { what: `stop ${id}`, method: "POST", path, query, timeout });
  }

  /** Unnamed volumes of the image go with it, named ones stay. Rejects with ENGINE_ERROR while its programs run on. */
  async remove(id: string): Promise<void> {
    if (await this.engine.isPodman()) await this.kill(id);
    const path = `/containers/${id}`;
    const query = { force: true, v: true };
    for (let time = 0; ; time += 1) {
      try {
        await this.unlessDone([404], { what: `remove ${id}`, method: "DELETE", path, query, timeout: timeouts.remove });
        return;
      } catch (error) {
        if (time === 0 && (await this.removeDependents(id, error))) continue;
        // Somebody is removing it already: wait until it is gone.
        if (statusOf(error) !== 409 || time >= conflictRetry.times) throw error;
        await sleep(this.clock, conflictRetry.everyMs);
      }
    }
  }

  /** Podman drops the record of a container in the middle of a stop without ending its programs: they end first. */
  private async kill(id: string): Promise<void> {
    const path = `/containers/${id}/kill`;
    const call = {
      what: `kill ${id}`,
      method: "POST",
      path,
      query: { signal: "KILL" },
      timeout: timeouts.read,
    } as const;
    for (let time = 0; time < killWait.times; time += 1) {
      const found = await this.inspect(id);
      // The engine itself thaws a paused one before it ends it.
      if (found === null || found.State.Pid === 0 || found.State.Paused) return;
      // Refused for one that ends just now; whether it has ended is seen at the next look.
      if (time === 0) await this.unlessDone([404, 409, 500], call);
      await sleep(this.clock, killWait.everyMs);
    }
    throw new SwainError("ENGINE_ERROR", `container ${id} was killed, and its programs still run`);
  }

  /** Podman removes no container whose network others use; without it those are worth nothing. True = try again. */
  private async removeDependents(id: string, error: unknown): Promise<boolean> {
    if (causeOf(error) !== "container already exists") return false;
    const ours = await Promise.all((await this.list()).map(({ Id }) => this.inspect(Id)));
    const dependents = ours.filter((other) => other !== null && networkOwner(other) === id);
    for (const other of dependents) if (other !== null) await this.remove(other.Id);
    return dependents.length > 0;
  }

  private async unlessDone(done: readonly number[], call: EngineCall): Promise<void> {
    try {
      await this.engine.askAboutOne(call);
    } catch (error) {
      if (!done.includes(statusOf(error) ?? 0)) throw error;
    }
  }
}
