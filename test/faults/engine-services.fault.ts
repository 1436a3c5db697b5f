// The engine's own service stands still, or starts anew.
import { expect, it } from "vitest";
import { testImage } from "../support/docker.ts";
import type { TestEngine } from "../support/docker.ts";
import { startPodman } from "../support/podman.ts";
import type { PodmanService } from "../support/podman.ts";
import { Dockerd } from "./dockerd.ts";
import { after, describeEngineFaults, FaultWorld, seen, untouched } from "./world.ts";

await describeEngineFaults("the service of an engine", (engine) =>
  (engine.kind === "podman" ? podman : docker)(engine),
);

function podman(engine: TestEngine): void {
  it.each([
    ["frozen for 10 s (SIGSTOP)", (podman: PodmanService): Promise<void> => podman.freeze(10_000)],
    ["killed (kill -9) and started anew", (podman: PodmanService): Promise<void> => podman.restart()],
  ])("has the service of Podman %s", { timeout: 300_000 }, async (what, breakIt) => {
    const podman = await startPodman(testImage);
    let own: FaultWorld | undefined;
    try {
      own = await FaultWorld.open(engine.natsServer, { engine: { name: engine.name, socket: podman.socket } });
      const promise = "Containers and proxies go on; changes are made when the engine is back.";
      const is = await own.run({ fault: `Podman's service ${what}`, promise }, async (run) => {
        run.keepChanging([8, 5, 6], 1500);
        await run.onset();
        run.fault();
        await breakIt(podman);
        run.mended();
        await after(2000);
      });
      expect(is).toMatchObject(untouched);
      seen(is, { silenceMs: 1500, convergedMs: 60_000 });
    } finally {
      await own?.dispose();
      podman.stop();
    }
  });
}

function docker(engine: TestEngine): void {
  it("has its dockerd stand still and start anew", { timeout: 300_000 }, async () => {
    const dockerd = await Dockerd.start(engine.api);
    const own = await FaultWorld.open(engine.natsServer, { engine: { name: engine.name, socket: dockerd.socket } });
    try {
      const stands = "Containers and proxies go on; changes are made when the engine is back.";
      const frozen = await own.run({ fault: "dockerd frozen for 10 s (SIGSTOP)", promise: stands }, async (run) => {
        run.keepChanging([8, 5, 6], 1500);
        await run.onset();
        run.fault();
        await dockerd.freeze(10_000);
        run.mended();
        await after(2000);
      });
      expect(frozen).toMatchObject(untouched);
      seen(frozen, { silenceMs: 1500, convergedMs: 60_000 });
      const ends = "All containers end with dockerd and are started again in place, none twice.";
      const restarted = await own.run(
        { fault: "dockerd restarted, its containers ended", promise: ends },
        async (run) => {
          run.keepChanging([7, 6], 1500);
          await run.onset();
          run.fault(own.programs());
          await dockerd.restart();
          run.mended();
          await after(2000);
        },
      );
      expect(restarted).toMatchObject({ lost: 0, doubled: 0, stale: 0, replaced: 0 });
      seen(restarted, { silenceMs: 30_000, convergedMs: 60_000 });
    } finally {
      await own.dispose();
      await dockerd.dispose();
    }
  });
}
