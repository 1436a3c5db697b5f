// What every driver must keep of programs run beside a container's own. A part of `driver.ts`.
import { expect } from "vitest";
import type { ExecRun } from "../../services/agent/runtime/driver.ts";
import { codeOf, exec, patience, promise, run, specOf } from "./driver-support.ts";
import type { DriverFixture, Stage } from "./driver-support.ts";

export function execSuite(stage: Stage, { capabilities: { programs } }: DriverFixture): void {
  const program = programs.shells ?? programs.idle;
  const can = programs.shells !== undefined;

  promise(!can)("running another program is refused with a code", async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(program));
    expect(await codeOf(exec(driver, id, ["true"]))).toBe("EXEC_UNSUPPORTED");
  });

  promise(can)(
    "another program runs with the container's environment, and its streams and code come back",
    async () => {
      const driver = stage.driver();
      const spec = specOf({ ...program, env: [{ name: "COLOUR", value: "blue" }] });
      const { id } = await run(driver, spec);
      const script = 'echo "$COLOUR $SWAIN_POD"; echo oops >&2; exit 7';
      expect(await exec(driver, id, ["sh", "-c", script])).toEqual({
        code: 7,
        stdout: `blue ${spec.pod}\n`,
        stderr: "oops\n",
      });
      // Words reach it as they are, and bytes too.
      expect((await exec(driver, id, ["printf", "%s|", "a b", "$HOME", "'", "ä"])).stdout).toBe("a b|$HOME|'|ä|");
      expect(await exec(driver, id, ["cat"], { input: "one\ntwo" })).toMatchObject({ code: 0, stdout: "one\ntwo" });
      // Without input it reads the end at once.
      expect(await exec(driver, id, ["cat"])).toMatchObject({ code: 0, stdout: "" });
      const many = await exec(driver, id, ["sh", "-c", "yes ä | head -n 50000"]);
      expect(many.stdout).toBe("ä\n".repeat(50_000));
    },
  );

  promise(can)("one that ends before it read its input ends as any other", async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(program));
    const input = "0123456789".repeat(400_000);
    const few = await exec(driver, id, ["head", "-c", "5"], { input });
    expect(few).toEqual({ code: 0, stdout: "01234", stderr: "" });
    expect(await exec(driver, id, ["sh", "-c", "exit 3"], { input })).toEqual({ code: 3, stdout: "", stderr: "" });
  });

  promise(can)("one that is not there or may not be run is refused as a shell does, and prints nothing", async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(program));
    const refusal = async (word: string): Promise<unknown> => {
      let text = "";
      const onText = async (_: string, data: Uint8Array): Promise<void> => {
        text += Buffer.from(data).toString();
      };
      const options = { command: [word], tty: null, stdin: false, signal: AbortSignal.timeout(15_000) };
      const error = await driver
        .exec(id, options, onText)
        .then(
          (running) => running.ended,
          (refused: unknown) => refused,
        )
        .catch((refused: unknown) => refused);
      return { error, text };
    };
    for (const [word, exitCode] of [
      ["swain-no-such", 127],
      ["/swain/no-such", 127],
      ["/etc", 126],
    ] as const) {
      const error = { code: "COMMAND_NOT_FOUND", details: { exitCode } };
      expect(await refusal(word)).toMatchObject({ error, text: "" });
    }
    // What a program itself says is its own, whatever it ends with.
    expect(await exec(driver, id, ["sh", "-c", "echo mine; exit 127"])).toMatchObject({ code: 127, stdout: "mine\n" });
  });

  promise(can)("with a terminal it sees one, of the size told, also when that changes", async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(program));
    const size = { columns: 93, rows: 31 };
    const sized = 'until test "$(stty size 2>&1)" = "31 93"; do sleep 0.05; done; echo sized';
    const script = `test -t 0 && test -t 1 && echo terminal; ${sized}; read line; stty size; exit 3`;
    let text = "";
    const running: ExecRun = await driver.exec(
      id,
      { command: ["sh", "-c", script], tty: size, stdin: true, signal: AbortSignal.timeout(15_000) },
      async (_, data) => {
        text += Buffer.from(data).toString();
      },
    );
    await expect.poll(() => text, patience).toBe("terminal\r\nsized\r\n");
    await running.resize({ columns: 120, rows: 50 });
    await running.write(Buffer.from("go on\n"));
    expect(await running.ended).toBe(3);
    expect(text).toContain("go on\r\n50 120\r\n");
  });

  promise(can)("one that is broken off is ended, and one in a container that does not run is refused", async () => {
    const driver = stage.driver();
    const { id } = await run(driver, specOf(program));
    const stop = new AbortController();
    const mark = "sleep 987.5";
    const broken = exec(driver, id, ["sh", "-c", `${mark}; true`], {
      signal: stop.signal,
      onStart: () => setTimeout(() => stop.abort(new Error("left")), 200),
    });
    await expect(broken).rejects.toThrow();
    await driver.stop(id, 0);
    expect(await codeOf(exec(driver, id, ["true"]))).toBe("NOT_RUNNING_NOW");
    expect(await codeOf(exec(driver, "default.no-1.web.00000000", ["true"]))).toBe("NOT_RUNNING_NOW");
  });
}
