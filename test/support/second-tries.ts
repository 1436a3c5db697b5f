// Why a test of CI needed its second try: a test that passes then is green, and its first failure would be lost.
import type { Reporter, TestCase } from "vitest/node";

export class SecondTries implements Reporter {
  onTestCaseResult(test: TestCase): void {
    if (test.diagnostic()?.flaky !== true) return;
    const { errors = [] } = test.result();
    for (const { message, stack = "", diff } of errors) {
      console.log([`first try of ${test.fullName}: ${message}`, diff, stack].join("\n"));
    }
  }
}
