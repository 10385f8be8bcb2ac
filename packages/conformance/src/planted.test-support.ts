/** Running a suite against an implementation that is broken on purpose. */
import { expect, test } from "vitest";
import { type Check, runChecks } from "./check.ts";

/** The names of the checks that fail. */
export async function failedChecks(checks: readonly Check[]): Promise<readonly string[]> {
  return (await runChecks(checks)).filter(({ error }) => error).map(({ name }) => name);
}

/** A fault, the checks of the broken implementation, and a part of the name of the check that must catch it. */
export type PlantedFault = readonly [fault: string, checks: () => readonly Check[], caughtBy: RegExp];

/** One test for each fault: the suite rejects it, by the check that is there for it. */
export function testPlanted(faults: readonly PlantedFault[]): void {
  for (const [fault, checks, caughtBy] of faults) {
    test(fault, async () => {
      const meant = checks().filter(({ name }) => caughtBy.test(name));
      expect(meant.length, "checks of that name").toBeGreaterThan(0);
      expect(await failedChecks(meant), "checks that fail").not.toEqual([]);
    });
  }
}
