// Suites that need a container engine: skipped by name with the reason where there is none, failed where CI asks for all.
import Docker from "dockerode";
import { describe, expect, it } from "vitest";

const image = "busybox:stable";

const missing = await (async (): Promise<string | null> => {
  const docker = new Docker();
  try {
    await docker.ping();
  } catch (error) {
    return `no container engine answers: ${error instanceof Error ? error.message : String(error)}`;
  }
  try {
    await docker.getImage(image).inspect();
    return null;
  } catch {
    return `the engine has no image ${image}`;
  }
})();

/** A suite on the container engine of this machine. */
export function describeEngine(title: string, suite: () => void): void {
  if (missing === null) describe(title, suite);
  else if (process.env["CI"] === undefined) describe.skip(`${title}: ${missing}`, () => it("is skipped", () => {}));
  else it(title, () => expect.fail(missing));
}
