// Why a test of CI needed its second try: a test that passes then is green, and its first failure would be lost.
import type { Reporter, TestCase } from "vitest/node";

/** How the message of a failure begins that a second try is no answer to: something was lost or doubled. */
export const noSecondTry = "nothing may be lost";

/** A test that fails twice is broken, one that fails once met a stall. No stall loses or doubles anything. */
export const secondTry = { count: 1, condition: new RegExp(`^(?!${noSecondTry})`) };

export class SecondTries implements Reporter {
  onTestCaseResult(test: TestCase): void {
    if (test.diagnostic()?.flaky !== true) return;
    const { errors = [] } = test.result();
    for (const { message, stack = "", diff } of errors) {
      console.log([`first try of ${test.fullName}: ${message}`, diff, stack].join("\n"));
    }
  }
}
