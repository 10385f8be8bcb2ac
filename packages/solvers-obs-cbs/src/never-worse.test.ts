import { expect, test } from "vitest";
import { campaignSolvers, comparison, worseThan } from "./never-worse.test-support.ts";
import { randomCase, troubles } from "./random-networks.test-support.ts";

const others = Object.keys(campaignSolvers).filter((name) => name !== "chita");

// The first network of each trouble with chita, every other one with another solver too; `npm run bench -- never-worse` runs all 300 with all.
const cases = troubles.map((trouble, index) => {
  const solvers = index % 2 === 0 ? ["chita", others[(index / 2) % others.length]!] : ["chita"];
  return { trouble, index, solvers, named: solvers.join(" or ") };
});

test.each(cases)(
  "a small network with trouble ($trouble) is never worse after $named than a mask alone on the held-out examples",
  async ({ index, solvers }) => {
    const one = await randomCase(index);
    for (const solver of solvers) {
      const found = await comparison(one, { solver, request: { heldOut: one.heldOut } });
      if ("error" in found) throw found.error;
      expect(found.isFinite).toBe(true);
      // The run compared on the same examples, so but for the last bits of sums in another order it cannot be worse at all.
      expect(worseThan(found, solver)).toBeLessThanOrEqual(1 + 1e-5);
    }
  },
);
