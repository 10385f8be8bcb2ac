/** One thing that a suite checks, and how checks become tests of whatever runner is at hand. */

/** Registers a test: `test` of vitest, of node:test, or of any runner with that shape. */
export type RegisterTest = (name: string, run: () => Promise<void>) => unknown;

/** One check: a sentence, and a function that rejects with an Error when the sentence is not true. */
export interface Check {
  /** What holds, for example "keeps exactly what the constraint allows". */
  readonly name: string;
  run(): Promise<void>;
}

/** How one check went. */
export interface CheckResult {
  readonly name: string;
  /** Why it failed; absent when it passed. */
  readonly error?: Error;
}

/** Registers every check as a test named "SUBJECT SENTENCE". */
export function registerChecks(test: RegisterTest, subject: string, checks: readonly Check[]): void {
  for (const check of checks) test(`${subject} ${check.name}`, () => check.run());
}

/**
 * Runs checks one after the other without any test runner, for scripts and for tests of suites themselves.
 *
 * @returns a result for every check, in order
 * @example
 * const failed = (await runChecks(solverChecks({ create: () => mySolver() }))).filter(({ error }) => error);
 */
export async function runChecks(checks: readonly Check[]): Promise<readonly CheckResult[]> {
  const results: CheckResult[] = [];
  for (const { name, run } of checks) {
    try {
      await run();
      results.push({ name });
    } catch (error) {
      results.push({ name, error: error instanceof Error ? error : new Error(String(error)) });
    }
  }
  return results;
}
